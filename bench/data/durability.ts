/**
 * What durability costs: `node bench/data/durability.ts DURABLE|FORGETFUL RUNS THREADS FOLDER [SET...]`
 *
 * pipelines/tiny/capfilt.yaml, each time into an empty store below FOLDER, in one process, after a run that isn't timed. DURABLE is what
 * `bootlace run` does: every file and folder flushed, the run's state in SQLite. FORGETFUL flushes nothing and writes nothing down. SET are
 * `name=value`, for a shorter run. Prints one JSON line {seconds, mb, outputs, peer, share}: the outputs are the nodes' digests. The share is
 * that of the last run's time in which a flush or the database was waited for: on a busy machine, where two runs can't be compared, it
 * still bounds what durability costs.
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
import { Journal } from "../../packages/runtime/src/Journal.ts"
import type { JournalShape } from "../../packages/runtime/src/Journal.ts"

const [how, runs, threads, folder, ...set] = process.argv.slice(2)
const file = fileURLToPath(new URL("../../pipelines/tiny/capfilt.yaml", import.meta.url))

let waited_s = 0
const waiting = <A, E>(work: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    const begin = performance.now()
    return Effect.ensuring(
      work,
      Effect.sync(() => void (waited_s += (performance.now() - begin) / 1000))
    )
  })

const flushed = (files: FilesShape): FilesShape => ({
  ...files,
  create: (path) => Effect.map(files.create(path), (sink) => ({ ...sink, close: waiting(sink.close) })),
  fsyncFolder: (path) => waiting(files.fsyncFolder(path))
})

const written = (journal: JournalShape): JournalShape => ({
  begin: (execution) => waiting(journal.begin(execution)),
  end: (...how) => waiting(journal.end(...how)),
  startTry: (...what) => Effect.map(waiting(journal.startTry(...what)), (end) => (how) => waiting(end(how)))
})

const unflushed = (files: FilesShape): FilesShape => ({
  ...files,
  create: (path) => Effect.map(files.create(path), (sink) => ({ ...sink, close: sink.abandon })),
  fsyncFolder: () => Effect.void
})

const services = (store: string) => {
  const isDurable = how === "DURABLE"
  const files = Layer.effect(Files, Effect.map(Files, isDurable ? flushed : unflushed)).pipe(Layer.provide(Files.layer))
  const artifacts = Layer.provideMerge(ArtifactStore.layer(store), files)
  const journal = Layer.effect(Journal, Effect.map(Journal, written)).pipe(Layer.provide(storeJournal(store)))
  return Layer.merge(isDurable ? Layer.provideMerge(journal, artifacts) : artifacts, Progress.layer)
}

const timed = Effect.fnUntraced(function* (run: number) {
  const { plan, directory } = yield* loadPipeline({ file, set, seed: undefined, only: [], noConfig: false })
  const { numerics } = yield* Engine
  waited_s = 0
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
    peer: "in memory, nothing flushed",
    share: waited_s / kept.at(-1)!.seconds
  })
)
