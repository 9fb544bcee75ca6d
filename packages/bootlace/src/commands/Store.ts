/** `bootlace store list|gc`: what is in a store, and removing what no recent run uses. */
import { ArtifactStore, Files } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import { bytes } from "@bootlace/report"
import { keysInUse, listCheckpoints, listRuns, readRun } from "@bootlace/runtime"
import type { IndexedRows } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { usage } from "../Failure.ts"
import { existingStore } from "../Machinery.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"

const sizeOf = (artifact: CommittedArtifact): number => artifact.files.reduce((sum, file) => sum + file.bytes, 0)

const keysOf = (record: RunRecord): ReadonlyArray<string> => [
  ...record.rows.flatMap((rows) => (rows as IndexedRows).parts.flatMap(({ shards }) => shards.map(({ key }) => key))),
  ...record.artifacts.map((artifact) => artifact.key)
]

const readRuns = Effect.fnUntraced(function* (root: string) {
  const records: Array<RunRecord> = []
  for (const run of yield* listRuns(root)) {
    const record = yield* readRun(root, run)
    if (record !== undefined) records.push(record)
  }
  return records
})

/** Sizes by key of all artifacts. */
const sizes = Effect.gen(function* () {
  const store = yield* ArtifactStore
  const found = new Map<string, number>()
  for (const key of yield* store.list) {
    const artifact = yield* store.peek(key)
    if (artifact !== undefined) found.set(key, sizeOf(artifact))
  }
  return found
})

const sum = (keys: Iterable<string>, bySize: ReadonlyMap<string, number>): number =>
  [...new Set(keys)].reduce((total, key) => total + (bySize.get(key) ?? 0), 0)

export const list = (options: { readonly store: string; readonly json: boolean }) =>
  Effect.gen(function* () {
    const records = yield* readRuns(options.store)
    const bySize = yield* sizes
    const total = sum(bySize.keys(), bySize)
    if (options.json) {
      const runs = records.map((record) => ({
        run: record.run,
        pipeline: record.pipeline,
        status: record.status,
        started: record.started,
        bytes: sum(keysOf(record), bySize)
      }))
      return yield* out(JSON.stringify({ store: options.store, artifacts: bySize.size, bytes: total, runs }))
    }
    const rows = records.map((record) => [
      record.run,
      record.pipeline,
      record.status,
      record.started.slice(0, 16).replace("T", " "),
      bytes(sum(keysOf(record), bySize))
    ])
    const columns = [{ title: "run" }, { title: "pipeline" }, { title: "status" }, { title: "started (UTC)" }]
    if (rows.length > 0) yield* out(table([...columns, { title: "size", align: "right" }], rows))
    yield* out(`${bySize.size} artifacts, ${bytes(total)} in ${options.store}`)
  }).pipe(Effect.provide(existingStore(options.store)))

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === "EPERM"
  }
}

/** A run at work commits artifacts that its record doesn't name yet. */
const refuseWhileRunning = Effect.fnUntraced(function* (root: string) {
  const files = yield* Files
  const folder = join(root, "locks")
  if ((yield* files.stat(folder)) === undefined) return
  for (const name of yield* files.list(folder)) {
    const text = new TextDecoder().decode(yield* files.read(join(folder, name)))
    const pid = /"pid":(\d+)/.exec(text)?.[1]
    if (pid !== undefined && isAlive(Number(pid)))
      return yield* usage(`error: process ${pid} runs a pipeline in ${root}\nhint: wait until it is done`)
  }
})

/** Checkpoints of work that isn't finished: what it goes on from. */
const openCheckpoints = Effect.gen(function* () {
  const found = yield* listCheckpoints(yield* ArtifactStore)
  return found.filter(({ finished }) => !finished).map(({ key }) => key)
})

export interface GcOptions {
  readonly store: string
  readonly keep: number | undefined
  readonly dryRun: boolean
}

/** Removes the records of all but the latest runs. */
const forget = Effect.fnUntraced(function* (root: string, keep: number) {
  const files = yield* Files
  const runs = yield* listRuns(root)
  const old = runs.slice(0, Math.max(0, runs.length - keep))
  for (const run of old) yield* files.remove(join(root, "runs", run))
  return old.length
})

/** With `keep`, older runs are forgotten first; then goes what no run names. */
export const gc = (options: GcOptions) =>
  Effect.gen(function* () {
    if (options.dryRun && options.keep !== undefined)
      return yield* usage(
        "error: --keep and --dry-run don't go together: what goes depends on the records that are removed"
      )
    const store = yield* ArtifactStore
    yield* refuseWhileRunning(options.store)
    const forgotten = options.keep === undefined ? 0 : yield* forget(options.store, options.keep)
    const keep = new Set([...(yield* keysInUse(options.store)), ...(yield* openCheckpoints)])
    const bySize = yield* sizes
    const gone = [...bySize.keys()].filter((key) => !keep.has(key))
    if (!options.dryRun) yield* store.gc(keep)
    const verb = options.dryRun ? "would remove" : "removed"
    const runs = forgotten === 0 ? "" : `${forgotten} runs and `
    yield* out(
      `${verb} ${runs}${gone.length} artifacts, ${bytes(sum(gone, bySize))}; ${bySize.size - gone.length} artifacts stay`
    )
  }).pipe(Effect.provide(existingStore(options.store)))
