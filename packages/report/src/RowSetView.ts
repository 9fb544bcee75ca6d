/**
 * A row set as the report reads it: the rows that its owner stored, with the columns of its maps joined by row id.
 *
 * Filters and maps keep row ids, so whoever wants to know about the rows of a filter's port looks the ids up in the row set
 * that the filter reads: there stand the images, texts, scores and flags.
 */
import type { ColumnType, DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import { Effect } from "effect"
import type { ReportError, ReportStore, Row } from "./ReportStore.ts"

export interface RowSetView {
  readonly entries: ReadonlyArray<StoredRows>
  readonly columns: Readonly<Record<string, ColumnType>>
}

const starters = new Set(["source", "route", "expand", "union"])

/** `a.b` names column `b` of map `a`; the row set's own columns have plain names. */
const mapOf = (column: string): string | undefined =>
  column.includes(".") ? column.slice(0, column.lastIndexOf(".")) : undefined

/**
 * A record lists a row set's keys part by part: those of its own artifacts, then those of each map in the order in which its
 * columns are named; each part in shard order.
 */
export const partsOf = (stored: StoredRows): ReadonlyArray<StoredRows> => {
  const maps = [undefined, ...new Set(Object.keys(stored.columns).flatMap((column) => mapOf(column) ?? []))]
  const shards = stored.keys.length / maps.length
  return maps.map((map, part) => ({
    ...stored,
    keys: stored.keys.slice(part * shards, (part + 1) * shards),
    columns: Object.fromEntries(Object.entries(stored.columns).filter(([column]) => mapOf(column) === map))
  }))
}

/** Where the rows of a map or route come from: the port of a source, route, expand or union. */
const originOf = (record: RunRecord, node: DrawnNode): { readonly node: string; readonly port: string } | undefined => {
  const nodes = new Map(record.graph.map((each) => [each.id, each]))
  for (const { from, port } of node.inputs) {
    const source = nodes.get(from)
    if (source === undefined) continue
    if (starters.has(source.kind)) return { node: from, port }
    const origin = source.kind === "map" ? originOf(record, source) : undefined
    if (origin !== undefined) return origin
  }
  return undefined
}

/** What is stored of a port (of a node's only one, where the wire doesn't say which), and of its members where it is a union's. */
const entriesOf = (record: RunRecord, node: string, port: string): ReadonlyArray<StoredRows> => {
  const all = record.rows.filter((rows) => rows.node === node)
  const named = all.filter((rows) => rows.port === port)
  const own = (named.length > 0 ? named : all.filter((rows) => rows.port === all[0]!.port)).flatMap(partsOf)
  const drawn = record.graph.find((each) => each.id === node)
  return drawn?.kind === "union"
    ? [...own, ...drawn.inputs.flatMap((input) => entriesOf(record, input.from, input.port))]
    : own
}

const viewOf = (entries: ReadonlyArray<StoredRows>): RowSetView => ({
  entries,
  columns: Object.assign({}, ...entries.map((rows) => rows.columns)) as RowSetView["columns"]
})

/** The row set that a map or route reads. */
export const readBy = (record: RunRecord, node: DrawnNode): RowSetView => {
  const origin = originOf(record, node)
  return viewOf(origin === undefined ? [] : entriesOf(record, origin.node, origin.port))
}

/** Column names of a type, the row set's own first. */
export const columnsOf = (view: RowSetView, type: ColumnType): ReadonlyArray<string> =>
  Object.keys(view.columns)
    .filter((name) => view.columns[name] === type)
    .toSorted((a, b) => Number(a.includes(".")) - Number(b.includes(".")))

/** The columns of the view that are wired into a node, as far as names tell. */
export const wiredColumns = (view: RowSetView, node: DrawnNode): ReadonlyArray<string> => {
  const found = node.inputs.flatMap(({ input, from, port }) => {
    const candidates = [`${from}.${port}`, `${from}.${input}`, port, input]
    return candidates.find((name) => Object.hasOwn(view.columns, name)) ?? []
  })
  return [...new Set(found)]
}

/** The named columns of the rows with these ids; a row that is stored nowhere is empty. */
export const readRows = Effect.fnUntraced(function* (
  store: ReportStore,
  view: RowSetView,
  columns: ReadonlyArray<string>,
  ids: ReadonlyArray<string>
) {
  const wanted = new Set(ids)
  const found = new Map<string, Row>()
  for (const entry of view.entries) {
    const here = columns.filter((name) => Object.hasOwn(entry.columns, name))
    if (here.length === 0) continue
    const stored = yield* store.ids(entry)
    const pick = [...stored.keys()].filter((row) => wanted.has(stored[row]!))
    const rows = yield* store.rows(entry, here, pick)
    pick.forEach((row, i) => found.set(stored[row]!, { ...found.get(stored[row]!), ...rows[i] }))
  }
  return ids.map((id): Row => found.get(id) ?? {})
})

/** The ids of all rows that have every one of these columns, in the stored order. */
export const idsWith = (
  store: ReportStore,
  view: RowSetView,
  columns: ReadonlyArray<string>
): Effect.Effect<ReadonlyArray<string>, ReportError> =>
  Effect.gen(function* () {
    let ids: ReadonlyArray<string> | undefined
    for (const column of columns) {
      const own: Array<string> = []
      for (const entry of view.entries) if (Object.hasOwn(entry.columns, column)) own.push(...(yield* store.ids(entry)))
      const there = new Set(own)
      ids = ids === undefined ? own : ids.filter((id) => there.has(id))
    }
    return ids ?? []
  })
