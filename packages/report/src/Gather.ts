/**
 * From a run record and the store to what the page shows: training histories, filters with a known truth, galleries, reasons
 * of rejected rows.
 *
 * Seeds of one variant repeat an experiment: curves show all of them, filters and galleries the first. What can't be read is
 * left out with a note; a report must not fail because one artifact is gone.
 */
import type { DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { History } from "./Curves.ts"
import { cutOf } from "./FilterQuality.ts"
import type { FilterRows } from "./FilterQuality.ts"
import { captionGalleries, filterGalleries, neighbourGalleries } from "./Galleries.ts"
import { firstSeeds, ownColumns, portsOf, title } from "./Lookup.ts"
import type { ReportStore } from "./ReportStore.ts"

const maxGalleries = 16

const parseHistory = (bytes: Uint8Array): ReadonlyArray<Readonly<Record<string, number>>> => {
  const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes))
  if (!Array.isArray(parsed)) return []
  return parsed.map((entry: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(
      Object.entries(entry).flatMap(([name, value]) => (typeof value === "number" ? [[name, value]] : []))
    )
  )
}

/** One history per trained model. */
export const gatherHistories = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const nodes = new Map(record.graph.map((node) => [node.id, node]))
  const histories: Array<History> = []
  for (const artifact of record.artifacts) {
    const node = nodes.get(artifact.node)
    if (artifact.type !== "model" || node?.kind !== "train") continue
    const bytes = yield* store.file(artifact, "history.json")
    if (bytes === undefined) continue
    const entries = yield* Effect.try({ try: () => parseHistory(bytes), catch: () => "not JSON" }).pipe(
      Effect.orElseSucceed(() => [])
    )
    histories.push({ name: title(node), entries })
  }
  return histories
})

const filterRows = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore, node: DrawnNode) {
  const { kept, rejected } = portsOf(record, node)
  if (kept === undefined || rejected === undefined) return undefined
  const flags = ownColumns(kept, "flag")
  const flagName = flags.includes("matched") ? "matched" : flags[0]
  if (flagName === undefined) return undefined
  const scores = ownColumns(kept, "score")
  const columns = [flagName, ...scores]
  const read = [
    ...(yield* store.rows(kept, columns)).map((row) => ({ row, kept: true })),
    ...(yield* store.rows(rejected, columns)).map((row) => ({ row, kept: false }))
  ]
  const views = (scores.length === 0 ? [undefined] : scores).map((scoreName): FilterRows => ({
    name: title(node),
    flagName,
    ...(scoreName === undefined ? {} : { scoreName }),
    rows: read.map(({ row, kept: isKept }) => {
      const score = scoreName === undefined ? undefined : row[scoreName]
      return { kept: isKept, flag: row[flagName] === true, ...(typeof score === "number" ? { score } : {}) }
    })
  }))
  return views.find((each) => cutOf(each) !== undefined) ?? views[0]!
})

/** Both ports of every filter whose row set carries a flag; the score is the one the decision was made on, if that can be told. */
export const gatherFilters = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const filters: Array<FilterRows> = []
  for (const node of firstSeeds(record, (each) => each.kind === "route")) {
    const rows = yield* filterRows(record, store, node)
    if (rows !== undefined) filters.push(rows)
  }
  return filters
})

/** Why rows couldn't be used: one entry per reason, most frequent first. */
export interface Rejection {
  readonly node: string
  readonly code: string
  readonly reason: string
  readonly rows: number
}

const maxReasons = 40

/** The runtime says beside a row set's own keys where the columns of its maps are. */
interface Parted extends StoredRows {
  readonly parts?: ReadonlyArray<{
    readonly shards: ReadonlyArray<{ readonly key: string; readonly names: Readonly<Record<string, string>> }>
  }>
}

/** Which artifacts hold the rejected rows of which nodes: those of the row set's owner, and those of its maps. */
export const quarantines = (stored: Parted): ReadonlyArray<readonly [string, ReadonlyArray<string>]> => [
  [stored.node, stored.keys],
  ...(stored.parts ?? []).flatMap(({ shards }) => {
    const column = Object.keys(shards[0]?.names ?? {}).find((name) => name.includes("."))
    return column === undefined
      ? []
      : [[column.slice(0, column.lastIndexOf(".")), shards.map((shard) => shard.key)] as const]
  })
]

export const gatherRejections = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const found: Array<Omit<Rejection, "rows">> = []
  for (const [node, keys] of record.rows.flatMap(quarantines)) {
    if ((record.nodes[node]?.rejected ?? 0) === 0) continue
    for (const line of yield* store.lines(keys, "rejected.jsonl"))
      found.push({ node, code: String(line["code"]), reason: String(line["reason"]) })
  }
  return [...Map.groupBy(found, (each) => JSON.stringify(each)).values()]
    .map((same): Rejection => ({ ...same[0]!, rows: same.length }))
    .sort((a, b) => b.rows - a.rows)
    .slice(0, maxReasons)
})

/** Everything that is read from the store. Notes say what couldn't be. */
export const gather = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const notes: Array<string> = []
  const orNote = <A>(what: string, effect: Effect.Effect<ReadonlyArray<A>, { readonly message: string }>) =>
    Effect.catch(effect, (error) =>
      Effect.sync((): ReadonlyArray<A> => {
        notes.push(`${what}: ${error.message}`)
        return []
      })
    )
  const histories = yield* orNote("curves", gatherHistories(record, store))
  const filters = yield* orNote("filters", gatherFilters(record, store))
  const galleries = [
    ...(yield* orNote("kept and rejected rows", filterGalleries(record, store))),
    ...(yield* orNote("captions", captionGalleries(record, store))),
    ...(yield* orNote("nearest texts", neighbourGalleries(record, store)))
  ].slice(0, maxGalleries)
  const rejections = yield* orNote("rejected rows", gatherRejections(record, store))
  return { histories, filters, galleries, rejections, notes }
})
