/**
 * Step: one call of a map, route or expand on a group of rows, held to its promises: as many rows out as in less those
 * rejected, every declared column, known ports.
 */
import {
  chunkNamed,
  columnsOf,
  derivedRowIds,
  makeBatch,
  rowIdsOf,
  rowIdVector,
  selectColumns,
  sliceRows,
  takeRows
} from "@bootlace/data"
import type { Batch, Expanded, Mapped, NodeError, PlanNode, Rejected, Routed } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { brokenPromise } from "./Guard.ts"
import type { Where } from "./Guard.ts"
import { countFrom } from "./Inbox.ts"
import type { Rows } from "./Inbox.ts"
import { mapPort } from "./Keys.ts"
import { idTexts } from "./TaskOutput.ts"
import type { LedgerRow, RejectedRow } from "./TaskOutput.ts"

/** What came of a group. */
export interface Made {
  readonly rowsIn: number
  readonly ports: ReadonlyArray<{
    readonly port: string
    readonly batch: Batch
    readonly ledger: ReadonlyArray<LedgerRow>
  }>
  readonly rejected: ReadonlyArray<RejectedRow>
  /** A map's columns for the nodes after it. */
  readonly rows?: Rows
}

type Vectors = Readonly<Record<string, { readonly length: number }>>

const checkColumns = (
  where: Where,
  declared: ReadonlyArray<string>,
  columns: Vectors,
  length: number
): NodeError | undefined => {
  for (const name of declared) {
    const given = columns[name]?.length
    if (given === undefined) return brokenPromise(where, `gave no column ${name}; it declares ${declared.join(", ")}`)
    if (given !== length) return brokenPromise(where, `gave ${given} rows of ${name} where ${length} were expected`)
  }
  return undefined
}

const checkRejected = (where: Where, rejected: ReadonlyArray<Rejected>, length: number): NodeError | undefined => {
  if (rejected.length === 0) return undefined
  const rows = new Set(rejected.map(({ row }) => row))
  const outside = rejected.find(({ row }) => !Number.isInteger(row) || row < 0 || row >= length)
  if (outside !== undefined) return brokenPromise(where, `rejected row ${outside.row} of a batch of ${length} rows`)
  return rows.size < rejected.length ? brokenPromise(where, "rejected a row twice") : undefined
}

const quarantined = (
  where: Where,
  { positions, batch }: Rows,
  rejected: ReadonlyArray<Rejected>
): ReadonlyArray<RejectedRow> => {
  if (rejected.length === 0) return []
  const ids = idTexts(batch)
  return rejected
    .toSorted((a, b) => a.row - b.row)
    .map(({ row, code, reason }) => ({
      row_id: ids[row]!,
      shard: where.shard ?? "",
      row: positions[row]!,
      code,
      reason
    }))
}

/** Rows that were not rejected; undefined where none was. */
const keptRows = (rejected: ReadonlyArray<Rejected>, length: number): Int32Array | undefined => {
  if (rejected.length === 0) return undefined
  const bad = new Set(rejected.map(({ row }) => row))
  return countFrom(0, length).filter((row) => !bad.has(row))
}

/** `wanted`: its columns that go on; it may have left out the others. */
export const mapped = (
  { columns: declared }: Pick<PlanNode, "columns">,
  where: Where,
  rows: Rows,
  made: Mapped,
  wanted?: ReadonlyArray<string>
): Effect.Effect<Made, NodeError> => {
  const names = wanted ?? Object.keys(declared)
  const { numRows } = rows.batch
  const broken =
    checkRejected(where, made.rejected, numRows) ??
    checkColumns(where, names, made.columns, numRows - made.rejected.length)
  if (broken !== undefined) return Effect.fail(broken)
  const kept = keptRows(made.rejected, numRows)
  const from = kept === undefined ? rows.batch : takeRows(selectColumns(rows.batch, { row_id: "row_id" }), kept)
  const columns = Object.fromEntries(names.map((name) => [name, made.columns[name]!]))
  const batch = makeBatch({ row_id: chunkNamed(from, "row_id"), ...columns })
  return Effect.succeed({
    rowsIn: numRows,
    ports: [{ port: mapPort, batch, ledger: [] }],
    rejected: quarantined(where, rows, made.rejected),
    rows: { positions: kept?.map((row) => rows.positions[row]!) ?? rows.positions, batch }
  })
}

/** How many rows were given each port number. */
const countPorts = (given: Uint8Array): Int32Array => {
  const counts = new Int32Array(256)
  for (let row = 0; row < given.length; row++) counts[given[row]!]! += 1
  return counts
}

const rowsOf = (given: Uint8Array, port: number, count: number): Int32Array => {
  const rows = new Int32Array(count)
  for (let row = 0, at = 0; at < count; row++) if (given[row] === port) rows[at++] = row
  return rows
}

export const routed = (node: PlanNode, where: Where, rows: Rows, made: Routed): Effect.Effect<Made, NodeError> => {
  const ports = Object.keys(node.ports)
  const { batch } = rows
  const { numRows } = batch
  if (made.ports.length !== numRows) {
    return Effect.fail(brokenPromise(where, `sent ${made.ports.length} rows to ports where ${numRows} came in`))
  }
  const counts = countPorts(made.ports)
  const unknown = counts.findLastIndex((count) => count > 0)
  if (unknown >= ports.length)
    return Effect.fail(brokenPromise(where, `port number ${unknown}; it has ${ports.join(", ")}`))
  const reasons = new Map(made.reasons.map((reason) => [reason.row, reason]))
  const silent = numRows === counts[0] ? -1 : made.ports.findIndex((port, row) => port > 0 && !reasons.has(row))
  if (silent >= 0)
    return Effect.fail(brokenPromise(where, `sent a row to ${ports[made.ports[silent]!]} without a reason`))
  const ids = reasons.size === 0 ? [] : idTexts(batch)
  const parts = ports.map((port, number) => {
    if (number === 0 && counts[0] === numRows) return { port, batch, ledger: [] }
    if (counts[number] === 0) return { port, batch: sliceRows(batch, 0, 0), ledger: [] }
    const taken = rowsOf(made.ports, number, counts[number]!)
    const ledger = number === 0 ? [] : Array.from(taken, (row) => ledgerRow(ids[row]!, reasons.get(row)!))
    return { port, batch: takeRows(batch, taken), ledger }
  })
  return Effect.succeed({ rowsIn: numRows, ports: parts, rejected: [] })
}

const ledgerRow = (row_id: string, { reason, score }: Routed["reasons"][number]): LedgerRow =>
  score === undefined ? { row_id, reason } : { row_id, reason, score }

export const expanded = (node: PlanNode, where: Where, rows: Rows, made: Expanded): Effect.Effect<Made, NodeError> => {
  const port = Object.keys(node.ports)[0]!
  const { batch } = rows
  const own = Object.keys(node.ports[port]!).filter((name) => node.inputs[name] === undefined)
  const broken =
    checkRejected(where, made.rejected, batch.numRows) ?? checkColumns(where, own, made.columns, made.parents.length)
  if (broken !== undefined) return Effect.fail(broken)
  const disorder = made.parents.findIndex(
    (parent, i) => parent < 0 || parent >= batch.numRows || parent < (made.parents[i - 1] ?? 0)
  )
  if (disorder >= 0)
    return Effect.fail(brokenPromise(where, `parent ${made.parents[disorder]} of row ${disorder} is out of order`))
  const ordinals = new Int32Array(made.parents.length)
  for (let i = 1; i < ordinals.length; i++)
    ordinals[i] = made.parents[i] === made.parents[i - 1] ? ordinals[i - 1]! + 1 : 0
  const parents = takeRows(batch, made.parents)
  const row_id = rowIdVector(derivedRowIds(rowIdsOf(parents), node.id, ordinals))
  const columns = Object.fromEntries(own.map((name) => [name, made.columns[name]!]))
  return Effect.succeed({
    rowsIn: batch.numRows,
    ports: [{ port, batch: makeBatch({ ...columnsOf(parents), row_id, ...columns }), ledger: [] }],
    rejected: quarantined(where, rows, made.rejected)
  })
}
