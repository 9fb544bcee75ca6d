/** `bootlace store list|gc`: what is in a store, and removing what no recent run uses. */
import { ArtifactStore } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import { bytes } from "@bootlace/report"
import { listRuns, readRun } from "@bootlace/runtime"
import { Effect } from "effect"
import { storeLayer } from "../Machinery.ts"
import { out } from "../Screen.ts"
import { table } from "../Table.ts"

const sizeOf = (artifact: CommittedArtifact): number => artifact.files.reduce((sum, file) => sum + file.bytes, 0)

const keysOf = (record: RunRecord): ReadonlyArray<string> => [
  ...record.rows.flatMap((rows) => rows.keys),
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
  }).pipe(Effect.provide(storeLayer(options.store)))

export const gc = (options: { readonly store: string; readonly keep: number; readonly dryRun: boolean }) =>
  Effect.gen(function* () {
    const store = yield* ArtifactStore
    const records = yield* readRuns(options.store)
    const kept = options.keep <= 0 ? [] : records.slice(-options.keep)
    const running = records.filter((record) => record.status !== "done")
    const keep = new Set([...kept, ...running].flatMap(keysOf))
    const bySize = yield* sizes
    const gone = [...bySize.keys()].filter((key) => !keep.has(key))
    if (!options.dryRun) yield* store.gc(keep)
    const verb = options.dryRun ? "would remove" : "removed"
    yield* out(`${verb} ${gone.length} artifacts, ${bytes(sum(gone, bySize))}; kept ${bySize.size - gone.length}`)
  }).pipe(Effect.provide(storeLayer(options.store)))
