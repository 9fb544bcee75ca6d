/**
 * Captions or matching scores in a process of their own: `node bench/infer/ours.ts FOLDER THREADS STEPS WHAT...`, FOLDER InferFolder's.
 *
 *   caption METHOD BATCH TOKENS   picture files to captions, in one batch
 *   match BATCH                   every picture file with every text to a score
 *
 * The operators are those that pipelines run. Prints one JSON line {seconds, mb, outputs}.
 */
import {
  columnOf,
  floatsOf,
  imageColumn,
  makeBatch,
  rowIdVector,
  sha256,
  sourceRowIds,
  takeRows,
  textColumn,
  textsOf
} from "@bootlace/data"
import type { Vectors } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Artifact, MapBody } from "@bootlace/graph"
import { Captioner, ImageEncoder, ITM, LoadedModels } from "@bootlace/operators"
import { Effect, Layer, Schema } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { join } from "node:path"

const [folder = "", threads, steps, what, ...how] = process.argv.slice(2)

interface MapOperator {
  readonly name: string
  readonly config: Schema.Codec<never, unknown, never, never>
  readonly body: MapBody<never, LoadedModels>
}

const model: Artifact = {
  type: "model",
  digest: sha256(folder),
  files: await readdir(join(folder, "ours")),
  read: (name) =>
    Effect.tryPromise({
      try: async (): Promise<Uint8Array> => new Uint8Array(await readFile(join(folder, "ours", name))),
      catch: (cause) => new NodeError({ code: "R401", node: "model", detail: String(cause) })
    })
}

/** An operator, opened. Its rows must all come through. */
const opened = Effect.fnUntraced(function* (operator: unknown, config: unknown) {
  const { name, config: schema, body } = operator as MapOperator
  const decoded = yield* Schema.decodeUnknownEffect(schema)(config).pipe(Effect.orDie)
  const call = yield* body.open({ node: name, config: decoded, seed: 1, artifacts: { model }, directory: "." })
  return Effect.fnUntraced(function* (columns: Vectors) {
    const rows = Object.values(columns)[0]!.length
    const made = yield* call(makeBatch({ row_id: rowIdVector(sourceRowIds(sha256(name), 0, rows)), ...columns }))
    if (made.rejected.length > 0) throw new Error(`${name}: ${made.rejected[0]!.reason}`)
    return makeBatch(made.columns)
  })
})

const images = Effect.promise(async () => {
  const names = (await readdir(join(folder, "images"))).toSorted()
  const files = await Promise.all(names.map((name) => readFile(join(folder, "images", name))))
  return imageColumn(files.map((bytes) => ({ bytes })))
})

/** Captions have all tokens that they can have, so that every batch is the same work. */
const captions = Effect.fnUntraced(function* (method: string, batch_size: number, tokens: number) {
  const decode = { method, num_beams: 3, top_p: 0.9, max_length: tokens, min_length: tokens }
  const captioner = yield* opened(Captioner, { batch_size, decode })
  return Effect.gen(function* () {
    return textsOf(columnOf(yield* captioner({ image: yield* images }), "caption"))
  })
})

const scores = Effect.fnUntraced(function* (batch_size: number) {
  const encoder = yield* opened(ImageEncoder, { batch_size: 8 })
  const matcher = yield* opened(ITM, { batch_size })
  const texts = JSON.parse(yield* Effect.promise(() => readFile(join(folder, "texts.json"), "utf8"))) as Array<string>
  return Effect.gen(function* () {
    const image = yield* images
    const tokens = yield* encoder({ image })
    const pairs = Int32Array.from({ length: image.length * texts.length }, (_, i) => Math.floor(i / texts.length))
    const made = yield* matcher({
      image_tokens: columnOf(takeRows(tokens, pairs), "image_tokens"),
      text: textColumn(Array.from(pairs, (_, i) => texts[i % texts.length]!))
    })
    return Array.from(floatsOf(columnOf(made, "match_probability")))
  })
})

const timed = Effect.gen(function* () {
  const work: Effect.Effect<unknown, NodeError, LoadedModels> =
    what === "caption" ? yield* captions(how[0]!, Number(how[1]), Number(how[2])) : yield* scores(Number(how[0]))
  // The first time compiles.
  const outputs = yield* work
  const seconds: Array<number> = []
  for (let step = 0; step < Number(steps); step++) {
    const begin = performance.now()
    yield* work
    seconds.push((performance.now() - begin) / 1000)
  }
  console.log(JSON.stringify({ seconds, mb: process.resourceUsage().maxRSS / 1024, outputs }))
})

const engine = LoadedModels.layer.pipe(Layer.provideMerge(Engine.onnx({ threads: Number(threads) })))
await Effect.runPromise(Effect.scoped(timed).pipe(Effect.provide(engine)))
