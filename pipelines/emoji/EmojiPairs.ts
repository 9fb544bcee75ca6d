/**
 * EmojiPairs: a simulated crawl of emoji drawings, and the other vendor's drawings to evaluate on (docs/emoji.md).
 *
 *   image          JPEG, 64 x 64
 *   text           human: the true name. web: name and tags, of this drawing or (`noise`) of somebody else's
 *   matched        whether the text is this drawing's. Only the simulation knows; never give it to a training
 *   caption        the drawing's true name, e.g. `man rowing boat: dark skin tone`
 *   class_name     its concept's name, e.g. `person rowing boat`
 *   concept        its concept's code points
 *   concept_split  human, train, dev or test
 *
 *   split  drawings  concepts           posts of each drawing
 *   human  Google    human              `posts`, true names
 *   web    Google    train, dev, test   `posts`, each with a text of its own
 *   dev    Twitter   dev                one, as drawn
 *   test   Twitter   test               one, as drawn
 */
import { flagColumn, imageColumn, keyOf, makeBatch, textColumn } from "bootlace/data"
import { NodeError, Operator } from "bootlace"
import type { Source, SourceBatch } from "bootlace"
import { Effect, Schema, Stream } from "effect"
import { readFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { concepts, draws } from "./Concepts.ts"
import type { Concept, Drawing, Named, Pictured, Role } from "./Concepts.ts"
import { encodePost, paint, plain, poseOf, readDrawing } from "./Post.ts"

const version = 1
const batchRows = 64

const config = Schema.Struct({
  split: Schema.Literals(["human", "web", "dev", "test"]).annotate({
    description: "human and web to train on, dev and test (another vendor's drawings of web concepts) to evaluate on"
  }),
  posts: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 1000 }))
    .annotate({ description: "posts of each drawing in human and web" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(6))),
  noise: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
    .annotate({ description: "share of the web posts whose text is somebody else's" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.5))),
  variants: Schema.Int.check(Schema.isGreaterThan(0))
    .annotate({
      description: "at most this many drawings of a concept: a few have a hundred that differ in skin tones"
    })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(6))),
  concepts: Schema.optionalKey(
    Schema.Int.check(Schema.isGreaterThan(0)).annotate({ description: "at most this many concepts of the split" })
  ),
  shard_rows: Schema.Int.check(Schema.isGreaterThan(0))
    .annotate({ description: "rows of a shard, rounded down to whole drawings" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(512))),
  seed: Schema.Int.annotate({ description: "of poses, texts and noise; never of the splits" }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(1))
  )
})
type Config = typeof config.Type

const roles: Readonly<Record<Config["split"], ReadonlyArray<Role>>> = {
  human: ["human"],
  web: ["train", "dev", "test"],
  dev: ["dev"],
  test: ["test"]
}
const vendors = { human: "google", web: "google", dev: "twitter", test: "twitter" } as const

interface Post {
  readonly drawing: Drawing
  readonly concept: Concept
  readonly number: number
  readonly text: string
  readonly matched: boolean
}

/** The concept with a few of its drawings, picked by their hash. */
const withSomeDrawings = (concept: Concept, most: number): Concept => {
  const order = new Map(concept.drawings.map(({ file }) => [file, draws("variant", file)[0]!]))
  const drawings = concept.drawings.toSorted((a, b) => order.get(a.file)! - order.get(b.file)!).slice(0, most)
  return { ...concept, drawings }
}

/** Web alt-text: the name and up to three of the tags, the name first or last. */
const altText = ({ name, tags }: Drawing, key: ReadonlyArray<string | number>): string => {
  const [count, place, ...picks] = draws("text", ...key) as [number, number, ...Array<number>]
  const left = [...tags]
  const some = picks.slice(0, Math.floor(count * 4)).flatMap((pick) => left.splice(Math.floor(pick * left.length), 1))
  return (place < 0.7 ? [name, ...some] : [...some, name]).join(", ")
}

/** Another concept of the same split, so that dev's noise says nothing about test's. A lone concept has only itself. */
const somebodyElse = (concept: Concept, peers: ReadonlyArray<Concept>, draw: number): Concept => {
  const drawn = peers[Math.floor(draw * (peers.length - 1))] ?? concept
  return drawn.id === concept.id ? (peers.at(-1) ?? concept) : drawn
}

/** The split's posts, those of one drawing one after the other. */
const postsOf = (chosen: ReadonlyArray<Concept>, given: Config): ReadonlyArray<ReadonlyArray<Post>> => {
  const web = given.split === "web"
  const posts = web || given.split === "human" ? given.posts : 1
  const peers = Map.groupBy(chosen, (concept) => concept.role)
  return chosen.flatMap((concept) =>
    concept.drawings.map((drawing) =>
      Array.from({ length: posts }, (_, number): Post => {
        if (!web) return { concept, drawing, number, text: drawing.name, matched: true }
        const key = [given.seed, concept.id, drawing.file, number]
        const [noise, whose, which] = draws("noise", ...key) as [number, number, number]
        const other = noise < given.noise ? somebodyElse(concept, peers.get(concept.role) ?? [], whose) : concept
        const matched = other === concept
        const named = matched ? drawing : other.drawings[Math.floor(which * other.drawings.length)]!
        return { concept, drawing, number, text: altText(named, key), matched }
      })
    )
  )
}

const packages = ["emoji-datasource-google", "emoji-datasource-twitter", "emojibase-data"] as const
const require = createRequire(import.meta.url)

/** Where a package is and which version, or an error that says what to install. */
const located = (node: string, name: (typeof packages)[number]) =>
  Effect.try({
    try: () => {
      const path = require.resolve(`${name}/package.json`)
      return { folder: dirname(path), version: (require(path) as { version: string }).version }
    },
    catch: () =>
      new NodeError({
        code: "R111",
        node,
        detail: `package ${name} is not installed`,
        hint: `npm install --save-dev ${name}`
      })
  })

const readJson = <A>(node: string, path: string) =>
  Effect.tryPromise({
    try: async () => JSON.parse(await readFile(path, "utf8")) as A,
    catch: (cause) => new NodeError({ code: "R112", node, detail: `${path}: ${String(cause)}` })
  })

const rendered = async (folder: string, posts: ReadonlyArray<Post>, given: Config): Promise<SourceBatch> => {
  const drawings = new Map<string, Promise<Uint8Array>>()
  const images = await Promise.all(
    posts.map(async ({ drawing, concept, number }) => {
      const path = join(folder, `${drawing.file}.png`)
      const pixels = drawings.get(path) ?? readDrawing(path)
      drawings.set(path, pixels)
      const posed = given.split === "web" || given.split === "human"
      const pose = posed ? poseOf(draws("pose", given.seed, concept.id, drawing.file, number)) : plain
      return { bytes: await encodePost(paint(await pixels, pose)), path: `${drawing.file}-${number}.jpg` }
    })
  )
  const batch = makeBatch({
    image: imageColumn(images),
    text: textColumn(posts.map((post) => post.text)),
    matched: flagColumn(posts.map((post) => post.matched)),
    caption: textColumn(posts.map((post) => post.drawing.name)),
    class_name: textColumn(posts.map((post) => post.concept.name)),
    concept: textColumn(posts.map((post) => post.concept.id)),
    concept_split: textColumn(posts.map((post) => post.concept.role))
  })
  return { batch, rejected: [] }
}

const grouped = <A>(items: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))

export const EmojiPairs = Operator.source({
  name: "EmojiPairs",
  version,
  description: "A simulated crawl of emoji drawings, and another vendor's drawings to evaluate on.",
  config,
  inputs: {},
  ports: {
    pairs: {
      image: "image",
      text: "text",
      matched: "flag",
      caption: "text",
      class_name: "text",
      concept: "text",
      concept_split: "text"
    }
  },
  body: {
    open: ({ node, config: given }) =>
      Effect.gen(function* () {
        const [google, twitter, names] = yield* Effect.all([
          located(node, packages[0]),
          located(node, packages[1]),
          located(node, packages[2])
        ])
        const vendor = vendors[given.split]
        const drawn = vendor === "google" ? google : twitter
        const pictured = yield* readJson<ReadonlyArray<Pictured>>(node, join(google.folder, "emoji.json"))
        const named = yield* readJson<ReadonlyArray<Named>>(node, join(names.folder, "en/data.json"))
        const chosen = concepts(pictured, named)
          .filter((concept) => roles[given.split].includes(concept.role))
          .slice(0, given.concepts)
          .map((concept) => withSomeDrawings(concept, given.variants))
        const drawings = postsOf(chosen, given)
        const perShard = Math.max(1, Math.floor(given.shard_rows / (drawings[0]?.length ?? 1)))
        const shards = grouped(drawings, perShard).map((each) => each.flat())
        const content = keyOf({
          version,
          given,
          google: google.version,
          twitter: twitter.version,
          names: names.version
        })
        const folder = join(drawn.folder, "img", vendor, "64")
        const source: Source<never> = {
          content,
          shards: shards.map((posts, i) => ({ key: keyOf({ content, shard: i }), rows: posts.length })),
          read: (shard) =>
            Stream.fromIterable(grouped(shards[shard] ?? [], batchRows)).pipe(
              Stream.mapEffect((posts) =>
                Effect.tryPromise({
                  try: () => rendered(folder, posts, given),
                  catch: (cause) => new NodeError({ code: "R112", node, shard: String(shard), detail: String(cause) })
                })
              )
            )
        }
        return source
      })
  }
})
