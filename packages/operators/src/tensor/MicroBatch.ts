/**
 * Rows in fixed micro-batches: prepared, run in calls of few sizes, and put back in their order.
 *
 * Which rows run together hangs on the rows of the batch alone (Calls.ts), because the bits of a row can depend on it. A row that
 * can't be prepared is rejected with its reason and takes part in nothing.
 */
import { rowIdHex, rowIdsOf, columnOf } from "@bootlace/data"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import type { Batch, Columns, NodeError, Rejected, StoredType } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { onRows } from "../RowValues.ts"
import { callsFor } from "./Calls.ts"
import type { Call, Rows } from "./Calls.ts"
import type { OpenModel } from "./ModelArtifact.ts"
import { cellsOf, collate } from "./TensorColumn.ts"
import type { Cell } from "./TensorColumn.ts"
import type { HostColumn } from "./TensorOperator.ts"

/** How many rows are decoded at once; libvips has its own threads. */
const decodeConcurrency = 4

type PreparedCell = Exclude<Cell, { readonly width: number }>

export interface PreparedRow {
  /** Its place in the batch given. */
  readonly row: number
  /** Hex of the row's id. */
  readonly id: string
  readonly cells: Readonly<Record<string, PreparedCell>>
}
export interface PreparedRows {
  readonly rows: ReadonlyArray<PreparedRow>
  readonly rejected: ReadonlyArray<Rejected>
}

/** Decodes, resizes and tokenises the columns of a batch, row by row. */
export const prepareRows = Effect.fnUntraced(function* (
  node: string,
  batch: Batch,
  inputs: Columns,
  model: OpenModel | undefined
) {
  const names = Object.keys(inputs)
  const ids = yield* onRows(node, () => rowIdsOf(batch))
  const columns = yield* onRows(node, () =>
    names.map((name) => cellsOf(inputs[name] as StoredType, columnOf(batch, name), model))
  )
  const exits = yield* Effect.forEach(
    Array.from({ length: batch.numRows }, (_, row) => row),
    (row) => Effect.result(Effect.all(columns.map((cells) => cells[row]!))),
    { concurrency: decodeConcurrency }
  )
  const rows: Array<PreparedRow> = []
  const rejected: Array<Rejected> = []
  exits.forEach((result, row) => {
    if (result._tag === "Failure") rejected.push({ row, ...result.failure })
    else {
      const cells = Object.fromEntries(names.map((name, i) => [name, result.success[i] as PreparedCell]))
      rows.push({ row, id: rowIdHex(ids, row), cells })
    }
  })
  return { rows, rejected } satisfies PreparedRows
})

/** The tensors of a call. */
const tensorsOf = ({ rows, inputs, model }: MicroBatches, call: Call): HostTensors =>
  Object.assign(
    {},
    ...Object.entries(inputs).map(([name, type]) => {
      const places = type === "image_tokens" ? call.images : call.rows
      return collate(
        type as StoredType,
        name,
        places.map((place) => rows[place]!.cells[name]!),
        model
      )
    })
  )

const isTexts = (column: HostColumn): column is ReadonlyArray<string> => Array.isArray(column)

type HostColumns = Readonly<Record<string, HostColumn>>

/** What a call gave, and the rows it gave it for. */
interface Part {
  readonly rows: ReadonlyArray<number>
  readonly outputs: HostColumns
}

/** An output of all calls, row by row in the order of the rows. */
const inOrder = (parts: ReadonlyArray<Part>, name: string, num_rows: number): HostColumn => {
  const first = parts[0]!.outputs[name]!
  if (isTexts(first)) {
    const texts = Array<string>(num_rows)
    for (const { rows, outputs } of parts)
      rows.forEach((row, i) => (texts[row] ??= (outputs[name] as ReadonlyArray<string>)[i]!))
    return texts
  }
  const stride = first.data.length / first.shape[0]!
  const data = new (first.data.constructor as Float32ArrayConstructor)(num_rows * stride)
  const filled = new Set<number>()
  for (const { rows, outputs } of parts) {
    const values = (outputs[name] as HostTensor).data
    rows.forEach((row, i) => {
      if (!filled.has(row)) data.set(values.subarray(i * stride, (i + 1) * stride), row * stride)
      filled.add(row)
    })
  }
  return { ...first, shape: [num_rows, ...first.shape.slice(1)], data }
}

export interface MicroBatches extends Rows {
  readonly run: (inputs: HostTensors, rowIds: ReadonlyArray<string>) => Effect.Effect<HostColumns, NodeError>
}

/** The outputs for all rows, in order; none where there is no row to run. */
export const runMicroBatches = Effect.fnUntraced(function* (at: MicroBatches) {
  const parts: Array<Part> = []
  for (const call of callsFor(at)) {
    const ids = call.rows.map((place) => at.rows[place]!.id)
    parts.push({ rows: call.rows, outputs: yield* at.run(tensorsOf(at, call), ids) })
  }
  const names = Object.keys(parts[0]?.outputs ?? {})
  return Object.fromEntries(names.map((name) => [name, inOrder(parts, name, at.rows.length)]))
})

const pickRows = (column: HostColumn, places: ReadonlyArray<number>): HostColumn => {
  if (isTexts(column)) return places.map((place) => column[place]!)
  const stride = column.data.length / column.shape[0]!
  const data = new (column.data.constructor as Float32ArrayConstructor)(places.length * stride)
  places.forEach((from, to) => data.set(column.data.subarray(from * stride, (from + 1) * stride), to * stride))
  return { ...column, shape: [places.length, ...column.shape.slice(1)], data }
}

/** A text that came out empty is no text: its row is rejected. */
export const rejectEmptyTexts = (rows: ReadonlyArray<PreparedRow>, columns: HostColumns) => {
  const texts = Object.entries(columns).flatMap(([name, column]) => (isTexts(column) ? [{ name, column }] : []))
  const rejected: Array<Rejected> = []
  const kept: Array<number> = []
  rows.forEach(({ row }, place) => {
    const empty = texts.find(({ column }) => column[place]!.trim() === "")
    if (empty === undefined) kept.push(place)
    else rejected.push({ row, code: "R209", reason: `the ${empty.name} came out without a word` })
  })
  if (rejected.length === 0) return { columns, rejected }
  const left = Object.entries(columns).map(([name, column]) => [name, pickRows(column, kept)] as const)
  return { columns: Object.fromEntries(left), rejected }
}
