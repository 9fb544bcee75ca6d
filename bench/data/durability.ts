/**
 * What durability costs: `node bench/data/durability.ts DURABLE|FORGETFUL RUNS THREADS FOLDER [SET...]`
 *
 * pipelines/tiny/capfilt.yaml, each time into an empty store below FOLDER, in one process, after a run that isn't timed. DURABLE is what
 * `bootlace run` does: every file and folder flushed, the run's state in SQLite. FORGETFUL flushes nothing and writes nothing down. SET are
 * `name=value`, for a shorter run. Prints one JSON line {seconds, mb, outputs, peer}: the outputs are the nodes' digests.
 */
import { ArtifactStore, Files } from "@bootlace/data"
import type { FilesShape } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { LoadedModels } from "@bootlace/operators"
import { Progress, runPlan, storeJournal } from "@bootlace/runtime"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { loadPipeline } from "../../packages/bootlace/src/LoadPipeline.ts"
import { engineMachinery } from "../../packages/bootlace/src/Machinery.ts"

const [how, runs, threads, folder, ...set] = process.argv.slice(2)
const file = fileURLToPath(new URL("../../pipelines/tiny/capfilt.yaml", import.meta.url))

const unflushed = (files: FilesShape): FilesShape => ({
  ...files,
  create: (path) => Effect.map(files.create(path), (sink) => ({ ...sink, close: sink.abandon })),
  fsyncFolder: () => Effect.void
})

const services = (store: string) => {
  const forgetful = Layer.effect(Files, Effect.map(Files, unflushed)).pipe(Layer.provide(Files.layer))
  const files = how === "DURABLE" ? Files.layer : forgetful
  const artifacts = Layer.provideMerge(ArtifactStore.layer(store), files)
  return Layer.merge(how === "DURABLE" ? Layer.provideMerge(storeJournal(store), artifacts) : artifacts, Progress.layer)
}

const timed = Effect.fnUntraced(function* (run: number) {
  const { plan, directory } = yield* loadPipeline({ file, set, seed: undefined, only: [], noConfig: false })
  const { numerics } = yield* Engine
  const begin = performance.now()
  const { nodes } = yield* runPlan<Engine | LoadedModels | Files>(plan, {
    directory,
    numerics,
    engine: numerics
  }).pipe(Effect.provide(services(join(folder!, `${how}-${run}`)), { local: true }))
  const seconds = (performance.now() - begin) / 1000
  return { seconds, outputs: Object.fromEntries(Object.entries(nodes).map(([id, { artifact }]) => [id, artifact])) }
})

const all = Effect.forEach(
  Array.from({ length: Number(runs) + 1 }, (_, run) => run),
  timed
)
const [warm, ...kept] = await all.pipe(
  Effect.provide(engineMachinery({ engine: "onnx", threads: Number(threads) })),
  Effect.runPromise
)
console.log(
  JSON.stringify({
    seconds: kept.map(({ seconds }) => seconds),
    mb: process.resourceUsage().maxRSS / 1024,
    outputs: warm!.outputs,
    peer: "in memory, nothing flushed"
  })
)
