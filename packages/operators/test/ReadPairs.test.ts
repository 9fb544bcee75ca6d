import { Files, imagesOf, textsOf } from "@bootlace/data"
import type { NodeError } from "@bootlace/graph"
import { Effect, Stream } from "effect"
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { ReadPairs } from "../src/ReadPairs.ts"
import { operatorContract } from "./contract.ts"
import { contextOf, failureOf, runIn } from "./inMemory.ts"
import type { Given } from "./inMemory.ts"

const shapes = join(import.meta.dirname, "../../../pipelines/micro/shapes/human")
const parquet = join(import.meta.dirname, "../../data/test/fixtures/pairs.parquet")
const folder = mkdtempSync(join(tmpdir(), "read-pairs-"))
afterAll(() => rmSync(folder, { recursive: true }))

const captions: ReadonlyArray<readonly [file: string, text: string]> = [
  ["good.png", "a good one"],
  ["cut.png", "a cut one"],
  ["empty.png", "  "],
  ["long.png", "x".repeat(10_000)],
  ["endless.png", "x".repeat(70_000)],
  ["last.png", "the last one"]
]
const fill = (name: string): string => {
  const made = join(folder, name)
  mkdirSync(made)
  for (const [i, [file]] of captions.entries()) copyFileSync(join(shapes, `00${i}.png`), join(made, file))
  writeFileSync(join(made, "cut.png"), Buffer.from("\x89PNG\r\n\x1a\n and then nothing", "latin1"))
  writeFileSync(
    join(made, "metadata.jsonl"),
    captions.map(([file_name, text]) => `${JSON.stringify({ file_name, text })}\n`).join("")
  )
  return made
}
fill("one")
fill("two")

const given = (config: unknown): Given => ({ config, directory: folder, layer: Files.layer })
const opened = (config: unknown) =>
  Effect.flatMap(contextOf(ReadPairs, given(config)), (context) => ReadPairs.body.open(context as never))
const readAll = (config: unknown) =>
  runIn(
    given(config),
    Effect.gen(function* () {
      const source = yield* opened(config)
      const batches = yield* Effect.forEach(source.shards.keys(), (shard) => Stream.runCollect(source.read(shard)))
      return { content: source.content, batches: batches.flat() }
    })
  )

operatorContract(ReadPairs, {
  ...given({ path: "one" }),
  badConfigs: [
    { config: {}, names: /path/ },
    { config: { path: "" }, names: /path/ },
    { config: { path: "one", colums: {} }, names: /colums/ },
    { config: { path: "one", columns: { picture: "x" } }, names: /picture/ }
  ]
})

describe("ReadPairs", () => {
  it("keeps what it can read and says why it rejects the rest", async () => {
    const { batches } = await readAll({ path: "one" })
    const texts = batches.flatMap(({ batch }) => textsOf(batch.getChild("text")!))
    const images = batches.flatMap(({ batch }) => imagesOf(batch.getChild("image")!))
    // The order is that of metadata.jsonl.
    expect(texts).toEqual(["a good one", "x".repeat(10_000), "the last one"])
    expect(images.map((image) => image?.path)).toEqual(["good.png", "long.png", "last.png"])
    const rejected = batches.flatMap((each) => each.rejected)
    expect(rejected.map(({ row, code }) => [row, code])).toEqual([
      [1, "R121"],
      [2, "R122"],
      [4, "R116"]
    ])
    expect(rejected[2]!.reason).toContain("text_bytes")
  })

  it("knows data by its content and not by its path", async () => {
    expect((await readAll({ path: "two" })).content).toBe((await readAll({ path: join(folder, "one") })).content)
  })

  it("reads Hugging Face's Parquet", async () => {
    const { batches } = await readAll({ path: parquet })
    expect(batches.flatMap(({ batch }) => textsOf(batch.getChild("text")!)).length).toBeGreaterThan(0)
  })

  it("says what path it looked for, and from where", async () => {
    const error = (await failureOf(given({ path: "nowhere" }), opened({ path: "nowhere" }))) as NodeError
    expect(error._tag).toBe("NodeError")
    expect(error.code).toBe("R110")
    expect(error.message).toContain(`path is "nowhere", looked up from ${folder}`)
  })

  it("names a column that isn't there", async () => {
    const config = { path: parquet, columns: { text: "alt" } }
    const error = await readAll(config).catch((cause: unknown) => cause)
    expect(String(error)).toMatch(/R114[\s\S]*alt/)
  })
})
