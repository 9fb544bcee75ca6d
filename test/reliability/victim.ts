/**
 * A process to be killed: `node victim.ts FOLDER [finish]` runs the four micro pipelines side by side, each in FOLDER/<pipeline>/<n>,
 * over and over: where a store is done, the next begins. With `finish` it ends once the runs that it took up are done.
 *
 * Says `begun` before it runs anything.
 */
import { ArtifactStore, Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { LoadedModels } from "@bootlace/operators"
import { Progress, runPlan, storeJournal } from "@bootlace/runtime"
import { Effect, Layer } from "effect"
import { existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { loadPipeline } from "../../packages/bootlace/src/LoadPipeline.ts"
import { engineMachinery } from "../../packages/bootlace/src/Machinery.ts"

const [folder, finish] = process.argv.slice(2)
const pipelines = ["clip", "blip", "capfilt", "eval"]

const runIn = Effect.fnUntraced(function* (pipeline: string, store: string) {
  const file = join(import.meta.dirname, "../../pipelines/micro", `${pipeline}.yaml`)
  const { plan, directory } = yield* loadPipeline({ file, set: [], seed: undefined, only: [], noConfig: true })
  const { numerics } = yield* Engine
  const files = Layer.provideMerge(ArtifactStore.layer(store), Files.layer)
  const services = Layer.mergeAll(Layer.provideMerge(storeJournal(store), files), Progress.layer)
  const record = yield* runPlan<Engine | LoadedModels | Files>(plan, { directory, numerics, engine: numerics }).pipe(
    Effect.provide(services, { local: true })
  )
  const digests = Object.fromEntries(Object.entries(record.nodes).map(([id, { artifact }]) => [id, artifact]))
  const draft = join(store, "done.draft")
  writeFileSync(draft, JSON.stringify(digests))
  renameSync(draft, join(store, "done.json"))
})

const runAll = Effect.fnUntraced(function* (pipeline: string) {
  const stores = join(folder!, pipeline)
  mkdirSync(stores, { recursive: true })
  for (let n = 0; ; n++) {
    const store = join(stores, String(n))
    if (existsSync(join(store, "done.json"))) continue
    yield* runIn(pipeline, store)
    if (finish === "finish") return
  }
})

await Effect.forEach(pipelines, runAll, { concurrency: "unbounded" }).pipe(
  Effect.provide(engineMachinery({ engine: "onnx", threads: 1 })),
  (all) => {
    process.send?.("begun")
    return Effect.runPromise(all)
  }
)
