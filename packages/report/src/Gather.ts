/**
 * From a run record and the store to what the page shows: training histories, filters with a known truth, galleries, reasons
 * of rejected rows.
 *
 * Seeds of one variant repeat an experiment: curves show all of them, filters and galleries the first. What can't be read is
 * left out with a note; a report must not fail because one artifact is gone.
 */
import type { DrawnNode, RunRecord } from "@bootlace/graph"
import { Effect } from "effect"
import type { History } from "./Curves.ts"
import { cutOf } from "./FilterQuality.ts"
import type { FilterRows } from "./FilterQuality.ts"
import { captionGalleries, filterGalleries, neighbourGalleries } from "./Galleries.ts"
import { firstSeeds, portsOf, title } from "./Lookup.ts"
import type { ReportStore } from "./ReportStore.ts"
import { columnsOf, partsOf, readBy, readRows, wiredColumns } from "./RowSetView.ts"
import type { RowSetView } from "./RowSetView.ts"

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

const flagOf = (view: RowSetView, wired: ReadonlyArray<string>): string | undefined => {
  const flags = columnsOf(view, "flag")
  return flags.includes("matched") ? "matched" : flags.find((name) => wired.includes(name))
}

const filterRows = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore, node: DrawnNode) {
  const { kept, rejected } = portsOf(record, node)
  const view = readBy(record, node)
  const wired = wiredColumns(view, node)
  const flagName = flagOf(view, wired)
  if (kept === undefined || rejected === undefined || flagName === undefined) return undefined
  const scores = wired.filter((name) => view.columns[name] === "score")
  const keptIds = yield* store.ids(kept)
  const ids = [...keptIds, ...(yield* store.ids(rejected))]
  const read = yield* readRows(store, view, [flagName, ...scores], ids)
  const views = (scores.length === 0 ? [undefined] : scores).map((score): FilterRows => ({
    name: title(node),
    flagName,
    ...(score === undefined ? {} : { scoreName: score.slice(score.lastIndexOf(".") + 1) }),
    rows: read.map((row, i) => {
      const value = score === undefined ? undefined : row[score]
      return {
        kept: i < keptIds.length,
        flag: row[flagName] === true,
        ...(typeof value === "number" ? { score: value } : {})
      }
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

export const gatherRejections = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  if (!Object.values(record.nodes).some((node) => node.rejected > 0)) return []
  const found: Array<Omit<Rejection, "rows">> = []
  for (const stored of record.rows.flatMap(partsOf)) {
    const column = Object.keys(stored.columns).find((name) => name.includes("."))
    const node = column === undefined ? stored.node : column.slice(0, column.lastIndexOf("."))
    for (const line of yield* store.lines(stored, "rejected.jsonl"))
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
