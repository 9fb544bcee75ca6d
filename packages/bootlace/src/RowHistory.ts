/**
 * A row's way through a run: the row sets it is in with its values there, why a route sent it where it went, where it was put
 * aside, and which nodes read it as data.
 */
import { columnOf, flagsOf, floatsOf, intsOf, textsOf } from "@bootlace/data"
import type { ColumnType, RunRecord, StoredRows } from "@bootlace/graph"
import { quarantines } from "@bootlace/report"
import * as Effect from "effect/Effect"
import { eachRow, reportStore } from "./ReadRows.ts"

export type Told = string | number | boolean | null

/** One station of the row. */
export interface RowPlace {
  readonly node: string
  /** Of the row set it is in; undefined where the node could not use it. */
  readonly port: string | undefined
  readonly values: Readonly<Record<string, Told>>
  /** Why a route sent it to this port, or why it was put aside. */
  readonly reason: string | undefined
  /** Where the bytes are that the node could not use: the key of the source's shard, and the row in it, rejected rows counted. */
  readonly bytes: { readonly shard: string; readonly row: number } | undefined
  /** Nodes that read this row set as data: trainings, folds and what derives rows from it. */
  readonly readers: ReadonlyArray<string>
}
export interface RowHistory {
  /** 32 hex digits. */
  readonly row_id: string
  readonly places: ReadonlyArray<RowPlace>
}

type Batch = Parameters<typeof columnOf>[0]

const told: ReadonlySet<ColumnType> = new Set(["text", "score", "flag", "label"])

const valueAt = (batch: Batch, column: string, type: ColumnType, row: number): Told => {
  const vector = columnOf(batch, column)
  if (!vector.isValid(row)) return null
  switch (type) {
    case "text":
      return textsOf(vector)[row] ?? null
    case "flag":
      return flagsOf(vector)[row] ?? null
    case "label":
      return intsOf(vector)[row] ?? null
    default:
      return floatsOf(vector)[row] ?? null
  }
}

/** The rows whose ids begin so, with the batch that each is in; reads on until the end, for a beginning may fit several. */
const findRows = Effect.fnUntraced(function* (stored: StoredRows, columns: ReadonlyArray<string>, beginning: string) {
  const found: Array<{ readonly row_id: string; readonly batch: Batch; readonly row: number }> = []
  yield* eachRow(stored, columns, (row_id, batch, row) => {
    if (row_id.startsWith(beginning)) found.push({ row_id, batch, row })
  })
  return found
})

/** Each column is looked up by itself: a map's column has fewer rows where it rejected some. */
const valuesOf = Effect.fnUntraced(function* (stored: StoredRows, row_id: string) {
  const values: Record<string, Told> = {}
  for (const [column, type] of Object.entries(stored.columns)) {
    if (!told.has(type)) continue
    const [found] = yield* findRows(stored, [column], row_id)
    if (found !== undefined) values[column] = valueAt(found.batch, column, type, found.row)
  }
  return values
})

const readersOf = ({ graph }: RunRecord, { node, port }: StoredRows): ReadonlyArray<string> =>
  graph
    .filter(({ kind }) => kind !== "map")
    .filter(({ inputs }) => inputs.some((input) => input.from === node && input.port.split(".")[0] === port))
    .map(({ id }) => id)

type Line = Readonly<Record<string, unknown>>

const reasonOf = (line: Line | undefined): string | undefined => {
  if (line === undefined) return undefined
  const { code, reason, score } = line
  const scored = typeof score === "number" ? ` (score ${score})` : ""
  return `${code === undefined ? "" : `${String(code)} `}${String(reason)}${scored}`
}

const bytesOf = ({ shard, row }: Line): RowPlace["bytes"] =>
  typeof shard === "string" && typeof row === "number" ? { shard, row } : undefined

/** The rows of a run whose ids begin with `beginning`; usually one. Reads ids and small columns of every row set. */
export const rowHistories = Effect.fnUntraced(function* (record: RunRecord, beginning: string) {
  const { lines } = yield* reportStore
  const places = new Map<string, Array<RowPlace>>()
  const add = (row_id: string, place: RowPlace) => places.set(row_id, [...(places.get(row_id) ?? []), place])
  for (const stored of record.rows) {
    const found = yield* findRows(stored, [], beginning)
    const ledger = found.length === 0 ? [] : yield* lines(stored.keys, "ledger.jsonl")
    for (const { row_id } of found) {
      const { node, port } = stored
      const values = yield* valuesOf(stored, row_id)
      add(row_id, {
        node,
        port,
        values,
        reason: reasonOf(ledger.find((line) => line["row_id"] === row_id)),
        bytes: undefined,
        readers: readersOf(record, stored)
      })
    }
    for (const [node, keys] of quarantines(stored)) {
      if ((record.nodes[node]?.rejected ?? 0) === 0) continue
      for (const line of yield* lines(keys, "rejected.jsonl")) {
        const row_id = String(line["row_id"])
        if (row_id.startsWith(beginning))
          add(row_id, { node, port: undefined, values: {}, reason: reasonOf(line), bytes: bytesOf(line), readers: [] })
      }
    }
  }
  return [...places].map(([row_id, own]): RowHistory => ({ row_id, places: own }))
})
