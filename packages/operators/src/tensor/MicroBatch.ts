/**
 * Rows in fixed micro-batches: prepared, padded to full size, run, and cut back to the rows that came.
 *
 * Every run has the same number of rows, because the bits of a row can depend on it; a short batch is padded by its last
 * row. A row that can't be prepared is rejected with its reason and takes part in nothing.
 */
import { rowIdHex, rowIdsOf, columnOf } from "@bootlace/data"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import type { Batch, Columns, NodeError, Rejected, StoredType } from "@bootlace/graph"
import { Effect } from "effect"
import { onRows } from "../RowValues.ts"
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

/** The tensors of exactly `batch_size` rows. */
const tensorsOf = (rows: ReadonlyArray<PreparedRow>, inputs: Columns, model: OpenModel | undefined): HostTensors =>
  Object.assign(
    {},
    ...Object.entries(inputs).map(([name, type]) =>
      collate(
        type as StoredType,
        name,
        rows.map((row) => row.cells[name]!),
        model
      )
    )
  )

const isTexts = (column: HostColumn): column is ReadonlyArray<string> => Array.isArray(column)

const firstRows = (column: HostColumn, count: number): HostColumn => {
  if (isTexts(column)) return column.slice(0, count)
  const stride = column.data.length / column.shape[0]!
  return { ...column, shape: [count, ...column.shape.slice(1)], data: column.data.slice(0, count * stride) }
}

const joined = (parts: ReadonlyArray<HostColumn>): HostColumn => {
  const first = parts[0]!
  if (parts.length === 1) return first
  if (isTexts(first)) return (parts as ReadonlyArray<ReadonlyArray<string>>).flat()
  const tensors = parts as ReadonlyArray<HostTensor>
  const data = new (first.data.constructor as Float32ArrayConstructor)(
    tensors.reduce((total, part) => total + part.data.length, 0)
  )
  let at = 0
  for (const part of tensors) {
    data.set(part.data, at)
    at += part.data.length
  }
  return { ...first, shape: [tensors.reduce((n, part) => n + part.shape[0]!, 0), ...first.shape.slice(1)], data }
}

export interface MicroBatches {
  readonly rows: ReadonlyArray<PreparedRow>
  readonly inputs: Columns
  readonly model: OpenModel | undefined
  readonly batch_size: number
  readonly run: (
    inputs: HostTensors,
    rowIds: ReadonlyArray<string>
  ) => Effect.Effect<Readonly<Record<string, HostColumn>>, NodeError>
}

/** The outputs for all rows, in order; undefined where there is no row to run. */
export const runMicroBatches = Effect.fnUntraced(function* ({ rows, inputs, model, batch_size, run }: MicroBatches) {
  const parts: Array<Readonly<Record<string, HostColumn>>> = []
  for (let start = 0; start < rows.length; start += batch_size) {
    const own = rows.slice(start, start + batch_size)
    const full = Array.from({ length: batch_size }, (_, i) => own[Math.min(i, own.length - 1)]!)
    const outputs = yield* run(
      tensorsOf(full, inputs, model),
      full.map((row) => row.id)
    )
    parts.push(Object.fromEntries(Object.entries(outputs).map(([name, all]) => [name, firstRows(all, own.length)])))
  }
  const names = Object.keys(parts[0] ?? {})
  return Object.fromEntries(names.map((name) => [name, joined(parts.map((part) => part[name]!))]))
})

const pickRows = (column: HostColumn, places: ReadonlyArray<number>): HostColumn => {
  if (isTexts(column)) return places.map((place) => column[place]!)
  const stride = column.data.length / column.shape[0]!
  const data = new (column.data.constructor as Float32ArrayConstructor)(places.length * stride)
  places.forEach((from, to) => data.set(column.data.subarray(from * stride, (from + 1) * stride), to * stride))
  return { ...column, shape: [places.length, ...column.shape.slice(1)], data }
}

type HostColumns = Readonly<Record<string, HostColumn>>

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
