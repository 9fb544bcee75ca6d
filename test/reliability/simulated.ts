/**
 * Whole runs in this process over simulated files: the runtime with the small operators of its own tests.
 *
 * A run is given a disk and a fault; what it says, what it warns of and how it ended come back. Nothing is shared between two
 * runs but the disk, as between two processes.
 */
import { ArtifactStore, Files, hashFile } from "@bootlace/data"
import type { FilesShape } from "@bootlace/data"
import { readPipeline } from "@bootlace/graph"
import type { RunRecord } from "@bootlace/graph"
import { Progress, runPlan } from "@bootlace/runtime"
import type { RunOptions } from "@bootlace/runtime"
import { Clock, Effect, Exit, Layer, Logger } from "effect"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { registry } from "../../packages/runtime/test/operators.ts"

export const storeFolder = "/disk/store"

export const systemClock = Effect.runSync(Clock.Clock)

export interface Ended {
  /** Undefined where the run did not end well. */
  readonly record: RunRecord | undefined
  /** What went wrong, as a person reads it. */
  readonly error: string
  readonly warnings: ReadonlyArray<string>
}

export const simulate = async (
  files: FilesShape,
  yaml: string,
  options: RunOptions = {},
  clock: Clock.Clock = systemClock
): Promise<Ended> => {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  const store = ArtifactStore.layer(storeFolder, { isAlive: () => false })
  const services = Layer.mergeAll(Layer.provideMerge(store, Layer.succeed(Files, files)), Progress.layer)
  const exit = await readPipeline(yaml, { file: "simulated.yaml", registry }).pipe(
    Effect.flatMap((plan) => runPlan(plan, options)),
    Effect.provide(services),
    Effect.provide(Logger.layer([logger])),
    Effect.provideService(Clock.Clock, clock),
    Effect.runPromiseExit
  )
  if (Exit.isSuccess(exit)) return { record: exit.value, error: "", warnings }
  return { record: undefined, error: String(exit.cause), warnings }
}

/** sha256 of every file of the store's artifacts, by path. */
export const artifactFiles = (files: FilesShape): Promise<Readonly<Record<string, string>>> => {
  const folder = `${storeFolder}/artifacts`
  const hashes = Effect.gen(function* () {
    const found: Record<string, string> = {}
    for (const key of yield* files.list(folder)) {
      for (const name of yield* files.list(`${folder}/${key}`)) {
        const path = `${folder}/${key}/${name}`
        found[path] = yield* Effect.provideService(hashFile(path), Files, files)
      }
    }
    return found
  })
  return Effect.runPromise(hashes)
}

/** What an undisturbed run makes. */
export const undisturbed = async (yaml: string, options: RunOptions = {}): Promise<RunRecord> => {
  const { record, error } = await simulate(makeMemoryDisk().files, yaml, options)
  if (record === undefined) throw new Error(error)
  return record
}

/** A little of everything: a source with bad rows, a map, a fold with snapshots, a threshold, a route, a training. */
export const little = `
version: 1
name: little
seed: 5
nodes:
  rows:   { op: Numbers, shards: 2, rows: 12, bad: 5 }
  length: { op: Measure, in: { text: rows.text } }
  median: { op: Median, in: { value: rows.value } }
  split:  { op: Split, in: { value: rows.value, threshold: median.threshold, text: rows.text } }
  start:  { op: Start }
  learn:
    op: Learn
    init: start.model
    in: { pairs: [split.high] }
    graph: { size: { op: Measure, in: { text: pairs.text } } }
    minimize: [size.length_loss]
    steps: 7
    every: 3
`
/** With snapshots of folds, too. */
export const littleOptions: RunOptions = { fold_checkpoint_batches: 2 }
