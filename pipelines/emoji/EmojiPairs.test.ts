import { decodeImage, flagsOf, imagesOf, textsOf } from "@bootlace/data"
import { Effect, Stream } from "effect"
import { describe, expect, it } from "vitest"
import { operatorContract } from "../../packages/operators/test/contract.ts"
import { contextOf, fingerprintOf, runIn } from "../../packages/operators/test/inMemory.ts"
import { EmojiPairs } from "./EmojiPairs.ts"
import { conceptOf, draws } from "./Concepts.ts"

interface Row {
  readonly image: Uint8Array
  readonly text: string
  readonly matched: boolean
  readonly caption: string
  readonly class_name: string
  readonly concept: string
  readonly concept_split: string
}

const open = (config: unknown) =>
  runIn(
    {},
    Effect.flatMap(contextOf(EmojiPairs, { config }), (context) => EmojiPairs.body.open(context as never))
  )

const batchesOf = async (config: unknown, shards?: ReadonlyArray<number>) => {
  const source = await open(config)
  const wanted = shards ?? [...source.shards.keys()]
  const read = await Promise.all(wanted.map((shard) => Effect.runPromise(Stream.runCollect(source.read(shard)))))
  return { source, batches: read.flat().map(({ batch }) => batch) }
}

const rowsOf = async (config: unknown, shards?: ReadonlyArray<number>): Promise<ReadonlyArray<Row>> => {
  const { batches } = await batchesOf(config, shards)
  return batches.flatMap((batch) => {
    const text = (name: string) => textsOf(batch.getChild(name)!) as ReadonlyArray<string>
    const images = imagesOf(batch.getChild("image")!)
    const matched = flagsOf(batch.getChild("matched")!)
    return images.map((image, row) => ({
      image: image!.bytes,
      text: text("text")[row]!,
      matched: matched[row]!,
      caption: text("caption")[row]!,
      class_name: text("class_name")[row]!,
      concept: text("concept")[row]!,
      concept_split: text("concept_split")[row]!
    }))
  })
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
const count = <A>(items: ReadonlyArray<A>, holds: (item: A) => boolean): number => items.filter(holds).length

operatorContract(EmojiPairs, {
  config: { split: "web", concepts: 12, posts: 2, shard_rows: 8 },
  badConfigs: [
    { config: {}, names: /split/ },
    { config: { split: "train" }, names: /human/ },
    { config: { split: "web", noise: 2 }, names: /noise/ },
    { config: { split: "web", post: 2 }, names: /post/ }
  ]
})

describe("concepts", () => {
  it.each([
    ["1F6A3-1F3FE-200D-2642-FE0F", "1F6A3", "man rowing boat: medium-dark skin tone"],
    ["1F469-1F3FB-200D-1F692", "1F9D1-200D-1F692", "woman firefighter: light skin tone"],
    ["1F3C3-1F3FD-200D-2640-FE0F-200D-27A1-FE0F", "1F3C3", "woman running: facing right"],
    ["1F468-200D-1F469-200D-1F467-200D-1F466", "1F46A", "family: man, woman, girl, boy"],
    ["1F469-1F3FB-200D-2764-FE0F-200D-1F468-1F3FF", "1F491", "couple with heart: two tones"],
    ["1FAF1-1F3FB-200D-1FAF2-1F3FC", "1F91D", "handshake: two tones"],
    ["1F478-1F3FC", "1FAC5", "princess"],
    ["2764-FE0F", "2764", "red heart"]
  ])("%s is %s (%s)", (hexcode, concept) => expect(conceptOf(hexcode)).toBe(concept))

  it("are in one split each, whatever seed, posts or vendor", async () => {
    const shape = { posts: 1, variants: 1 }
    const [human, web, dev, test] = await Promise.all(
      ["human", "web", "dev", "test"].map((split) => rowsOf({ split, ...shape, concepts: 60, seed: split.length }))
    )
    const ids = (rows: ReadonlyArray<Row>, split?: string) =>
      new Set(rows.filter((row) => split === undefined || row.concept_split === split).map((row) => row.concept))
    const shared = (a: ReadonlySet<string>, b: ReadonlySet<string>) => count([...a], (id) => b.has(id))
    expect(shared(ids(human!), ids(web!))).toBe(0)
    expect(shared(ids(human!), ids(test!))).toBe(0)
    expect(shared(ids(dev!), ids(test!))).toBe(0)
    expect(shared(ids(web!, "dev"), ids(dev!))).toBe(ids(web!, "dev").size)
    expect(shared(ids(web!, "test"), ids(test!))).toBe(ids(web!, "test").size)
  })
})

describe("the corpus at its full size", () => {
  const sizes = async (split: string) => {
    const { shards } = await open({ split })
    return shards.reduce((sum, { rows }) => sum + (rows ?? 0), 0)
  }

  it("has the rows that docs/emoji.md says", async () => {
    expect(await Promise.all(["human", "web", "dev", "test"].map(sizes))).toEqual([4788, 9672, 393, 842])
  })

  it("has over 500 classes to tell apart in the test, none of them a flag or a keycap", async () => {
    const rows = await rowsOf({ split: "test", variants: 1 })
    expect(new Set(rows.map((row) => row.class_name)).size).toBe(571)
    expect(rows.map((row) => row.class_name).filter((name) => /^(flag|keycap):/.test(name))).toEqual([])
  })
})

describe("a web post", () => {
  it("says the name with some tags, or somebody else's, in the share that noise says", async () => {
    const rows = await rowsOf({ split: "web", concepts: 120, posts: 4, variants: 1 })
    for (const row of rows) expect(row.text.split(", ").length).toBeLessThanOrEqual(4 + row.caption.split(", ").length)
    expect(rows.filter((row) => row.matched && !row.text.includes(row.caption))).toEqual([])
    expect(rows.filter((row) => !row.matched && row.text === row.caption)).toEqual([])
    const share = count(rows, (row) => row.matched) / rows.length
    expect(Math.abs(share - 0.5)).toBeLessThan(3 * Math.sqrt(0.25 / rows.length))
    const clean = await rowsOf({ split: "web", concepts: 20, posts: 1, noise: 0 })
    expect(clean.every((row) => row.matched)).toBe(true)
  })

  it("takes a wrong text from the same split, so that dev says nothing about test", async () => {
    const rows = await rowsOf({ split: "web", concepts: 120, posts: 2, variants: 1, noise: 1 })
    const splitOf = new Map(rows.map((row) => [row.caption, row.concept_split]))
    const names = [...splitOf.keys()].toSorted((a, b) => b.length - a.length)
    for (const row of rows.slice(0, 60)) {
      const parts = row.text.split(", ")
      const named = names.filter((name) => parts.join(", ").startsWith(name) || parts.join(", ").endsWith(name))
      expect(named.map((name) => splitOf.get(name))).toContain(row.concept_split)
    }
  })

  it("is a picture of its own, 64 pixels wide, the same again for the same seed only", async () => {
    const config = { split: "human", concepts: 2, posts: 3, variants: 1 }
    const [once, again, other] = await Promise.all([rowsOf(config), rowsOf(config), rowsOf({ ...config, seed: 2 })])
    expect(once.length).toBe(6)
    once.forEach((row, i) => {
      expect(sameBytes(row.image, again[i]!.image)).toBe(true)
      expect(sameBytes(row.image, other[i]!.image)).toBe(false)
      expect(count(once, ({ image }) => sameBytes(image, row.image))).toBe(1)
      expect(row.text).toBe(row.caption)
    })
    const { width, height } = await Effect.runPromise(decodeImage(once[0]!.image))
    expect([width, height]).toEqual([64, 64])
  })
})

describe("shards", () => {
  it("can each be read alone, and are known by package versions and config", async () => {
    const config = { split: "human", concepts: 10, posts: 2, shard_rows: 5 }
    const { source, batches } = await batchesOf(config)
    const third = await batchesOf(config, [2])
    // Five rows are two drawings of two posts.
    expect(source.shards[2]!.rows).toBe(4)
    expect(third.batches.map(fingerprintOf)).toEqual([fingerprintOf(batches[2]!)])
    expect((await open({ ...config, seed: 9 })).content).not.toBe(source.content)
    expect((await open({ ...config, noise: 0.5 })).content).toBe(source.content)
  })

  it("draws evenly", () => {
    const all = Array.from({ length: 500 }, (_, i) => draws("even", i)).flat()
    expect(all.every((draw) => draw >= 0 && draw < 1)).toBe(true)
    expect(Math.abs(all.reduce((sum, draw) => sum + draw, 0) / all.length - 0.5)).toBeLessThan(0.02)
  })
})
