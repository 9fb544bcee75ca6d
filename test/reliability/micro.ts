/**
 * The micro pipelines in this process, as the command line runs them: real operators, models and engine, one thread. The store
 * may be on simulated files, so that a test can stop a run at any step on the disk.
 */
import { ArtifactStore, Files } from "@bootlace/data"
import type { FilesShape } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { RunRecord } from "@bootlace/graph"
import type { LoadedModels } from "@bootlace/operators"
import { Progress, runPlan } from "@bootlace/runtime"
import { Effect, Exit, Layer, Logger, ManagedRuntime } from "effect"
import { join } from "node:path"
import { loadPipeline } from "../../packages/bootlace/src/LoadPipeline.ts"
import { engineMachinery } from "../../packages/bootlace/src/Machinery.ts"
import { root } from "../bootlace.ts"

export const microPipelines = ["clip", "blip", "capfilt", "eval"] as const
export type MicroPipeline = (typeof microPipelines)[number]

/** One engine for all runs: what it compiles depends on the programs alone. */
const engine = ManagedRuntime.make(engineMachinery({ engine: "onnx", threads: 1 }))

/** Everything below `folder` is on `disk`, the rest where it is. */
export const mounted = (folder: string, disk: FilesShape): Promise<FilesShape> =>
  Effect.map(Files, (real) => {
    const at = (path: string): FilesShape => (path.startsWith(folder) ? disk : real)
    const on =
      <A>(verb: (files: FilesShape) => (path: string) => A) =>
      (path: string): A =>
        verb(at(path))(path)
    const files: FilesShape = {
      read: on((f) => f.read),
      open: on((f) => f.open),
      create: on((f) => f.create),
      rename: (from, to) => at(to).rename(from, to),
      fsyncFolder: on((f) => f.fsyncFolder),
      makeFolder: on((f) => f.makeFolder),
      list: on((f) => f.list),
      stat: on((f) => f.stat),
      realPath: on((f) => f.realPath),
      remove: on((f) => f.remove),
      freeBytes: on((f) => f.freeBytes)
    }
    return files
  }).pipe(Effect.provide(Files.layer), Effect.runPromise)

export interface MicroRun {
  readonly pipeline: MicroPipeline
  readonly store: string
  readonly files: FilesShape
}

const onStore = ({ pipeline }: MicroRun) =>
  Effect.gen(function* () {
    const file = join(root, "pipelines/micro", `${pipeline}.yaml`)
    const { plan, directory } = yield* loadPipeline({ file, set: [], seed: undefined, only: [], noConfig: true })
    const { numerics } = yield* Engine
    return yield* runPlan<Engine | LoadedModels | Files>(plan, { directory, numerics, engine: numerics })
  })

export interface MicroEnded {
  /** Undefined where the run did not end well. */
  readonly record: RunRecord | undefined
  readonly error: string
  readonly warnings: ReadonlyArray<string>
}

/** One run as a process of its own would do it. */
export const runMicro = async (run: MicroRun): Promise<MicroEnded> => {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  const store = ArtifactStore.layer(run.store, { isAlive: () => false })
  const services = Layer.mergeAll(
    Layer.provideMerge(store, Layer.succeed(Files, run.files)),
    Progress.layer,
    Logger.layer([logger])
  )
  const exit = await engine.runPromiseExit(Effect.provide(onStore(run), services, { local: true }))
  if (Exit.isSuccess(exit)) return { record: exit.value, error: "", warnings }
  return { record: undefined, error: String(exit.cause), warnings }
}
