/**
 * JPEG files to stored embeddings, by the pipeline that a user would run: `node bench/infer/embed.ts FOLDER THREADS fp32|int8`, FOLDER
 * InferFolder's.
 *
 * A first run over a few other files loads the model and compiles; the second one is timed as a whole, from the folder of files to
 * committed embeddings. Prints one JSON line {seconds, mb, outputs}: the embeddings of the first files.
 */
import { ArtifactStore, columnOf, Files, floatsOf } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { readPipeline } from "@bootlace/graph"
import { LoadedModels, operators } from "@bootlace/operators"
import { openStoredRows, Progress, runPlan } from "@bootlace/runtime"
import { Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"

const [folder = "", threads, precision] = process.argv.slice(2)
const compared = 4

const runOver = Effect.fnUntraced(function* (path: string) {
  const file = join(folder, "embed.yaml")
  const text = yield* Effect.promise(() => readFile(file, "utf8"))
  const plan = yield* readPipeline(text, { file, registry: operators, set: { path } })
  const { numerics } = yield* Engine
  return yield* runPlan<Engine | LoadedModels | Files>(plan, { directory: folder, numerics, engine: numerics })
})

const timed = Effect.gen(function* () {
  yield* runOver("warm")
  const begin = performance.now()
  const { rows } = yield* runOver("images")
  const seconds = [(performance.now() - begin) / 1000]
  const mb = process.resourceUsage().maxRSS / 1024
  const stored = rows.find(({ node }) => node === "files")!
  const table = yield* openStoredRows(stored, ["image.image_embeds"])
  const first = floatsOf(
    columnOf(yield* table.rows(Int32Array.from({ length: compared }, (_, row) => row)), "image.image_embeds")
  )
  const width = first.length / compared
  const outputs = Array.from({ length: compared }, (_, row) =>
    Array.from(first.subarray(row * width, (row + 1) * width))
  )
  console.log(JSON.stringify({ seconds, mb, outputs }))
})

const services = Layer.mergeAll(
  ArtifactStore.layer(join(folder, `store-${process.pid}`)).pipe(Layer.provideMerge(Files.layer)),
  LoadedModels.layer.pipe(
    Layer.provideMerge(Engine.onnx({ threads: Number(threads), precision: precision === "int8" ? "int8" : "fp32" }))
  ),
  Progress.layer
)
await Effect.runPromise(Effect.scoped(timed).pipe(Effect.provide(services)))
