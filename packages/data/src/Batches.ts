/**
 * Record batches: put together, taken apart, rows picked. Row order is the caller's; nothing here changes a value.
 *
 * `gather` is the one way in which rows are copied: it takes spans of rows out of chunks, which is at once take, filter, concat
 * and the random access of datasets.
 */
import { Data, RecordBatch, Schema, Struct } from "apache-arrow"
import type { Field, Vector } from "apache-arrow"
import { DataError } from "./DataError.ts"
import { fieldOf } from "./Columns.ts"
import { countRows, gather, spansOf } from "./Gather.ts"
import type { RowSpan } from "./Gather.ts"
import { chunkNamed, columnOf } from "./Rows.ts"

export type Vectors = Readonly<Record<string, Vector>>

/** One chunk of a column; several are joined first. */
const chunkOf = (column: Vector | Data): Data => {
  if (column instanceof Data) return column
  const { data } = column
  if (data.length === 1) return data[0]!
  return gather(
    data,
    data.map(({ length }, chunk) => ({ chunk, start: 0, end: length }))
  )
}

interface Layout {
  readonly schema: Schema
  readonly type: Struct
}

/** Layouts of batches by their fields: there are few, and making one costs more than a thousand numbers. */
interface Known {
  readonly next: WeakMap<Field, Known>
  layout?: Layout
}
const known: Known = { next: new WeakMap() }

const layoutOf = (fields: ReadonlyArray<Field>): Layout => {
  let at = known
  for (const field of fields) {
    const next = at.next.get(field) ?? { next: new WeakMap() }
    at.next.set(field, next)
    at = next
  }
  at.layout ??= { schema: new Schema([...fields]), type: new Struct([...fields]) }
  return at.layout
}

/**
 * A batch of chunks that have `length` rows each. Arrow's constructor would copy the schema to see whether they have, for each
 * batch again.
 */
const batchOf = ({ schema, type }: Layout, length: number, children: ReadonlyArray<Data>): RecordBatch => {
  const data = new Data(type, 0, length, 0, undefined, [...children])
  const batch: RecordBatch = Object.create(RecordBatch.prototype)
  return Object.assign(batch, { schema, data, _metadata: new Map() })
}

/** A batch of columns of equal length. */
export const makeBatch = (columns: Readonly<Record<string, Vector | Data>>): RecordBatch => {
  const entries = Object.entries(columns)
  const length = entries[0]?.[1].length ?? 0
  const odd = entries.find(([, vector]) => vector.length !== length)
  if (odd !== undefined) {
    throw new DataError({
      code: "BadColumn",
      file: "batch",
      detail: `column ${odd[0]} has another length than ${entries[0]![0]}`,
      expected: `${length} rows`,
      got: `${odd[1].length} rows`
    })
  }
  const fields = entries.map(([name, vector]) => fieldOf(name, vector.type))
  return batchOf(
    layoutOf(fields),
    length,
    entries.map(([, vector]) => chunkOf(vector))
  )
}

/** The columns of a batch by name, in order. */
export const columnsOf = (batch: RecordBatch): Vectors =>
  Object.fromEntries(batch.schema.fields.map((field) => [field.name, columnOf(batch, field.name)]))

/** The batch with more columns after its own; a name that is there already is replaced in its place. */
export const appendColumns = (batch: RecordBatch, columns: Vectors): RecordBatch =>
  makeBatch({ ...columnsOf(batch), ...columns })

/** Columns picked and renamed: `{ new: old }`, in this order. The batch itself where that is what it has. */
export const selectColumns = (batch: RecordBatch, names: Readonly<Record<string, string>>): RecordBatch => {
  const picked = Object.entries(names)
  const { fields } = batch.schema
  const isAll =
    picked.length === fields.length && picked.every(([to, from], i) => to === from && from === fields[i]!.name)
  return isAll ? batch : makeBatch(Object.fromEntries(picked.map(([to, from]) => [to, chunkNamed(batch, from)])))
}

/** Rows from `start` up to `end`, without copying. */
export const sliceRows = (batch: RecordBatch, start: number, end: number): RecordBatch =>
  batchOf(
    { schema: batch.schema, type: batch.data.type },
    end - start,
    batch.data.children.map((child) => child.slice(start, end - start))
  )

/** The rows at `indices`, in this order; repeats are allowed. */
export const takeRows = (batch: RecordBatch, indices: Int32Array): RecordBatch => gatherSpans([batch], spansOf(indices))

/** The rows whose mask is not 0. */
export const filterRows = (batch: RecordBatch, mask: ArrayLike<number>): RecordBatch => {
  const kept = new Int32Array(batch.numRows)
  let count = 0
  for (let row = 0; row < batch.numRows; row++) if (mask[row] !== 0) kept[count++] = row
  return takeRows(batch, kept.subarray(0, count))
}

/** All rows, in order; columns are matched by name and must have equal types. One batch is given back as it is. */
export const concatBatches = (batches: ReadonlyArray<RecordBatch>): RecordBatch =>
  batches.length === 1 ? batches[0]! : compactBatches(batches)

/** All rows, in order, copied into memory of their own: equal rows have equal bytes, whatever they were cut from. */
export const compactBatches = (batches: ReadonlyArray<RecordBatch>): RecordBatch =>
  gatherSpans(
    batches,
    batches.map(({ numRows }, chunk) => ({ chunk, start: 0, end: numRows }))
  )

/** Row `rows[i]` of batch `which[i]`, for every i. The columns are those of the first batch. */
export const gatherRows = (batches: ReadonlyArray<RecordBatch>, which: Int32Array, rows: Int32Array): RecordBatch =>
  gatherSpans(batches, spansOf(rows, which))

/** Spans of rows of these batches, one after the other. The columns are those of the first batch. */
export const gatherSpans = (batches: ReadonlyArray<RecordBatch>, spans: ReadonlyArray<RowSpan>): RecordBatch => {
  const schema = batches[0]?.schema
  if (schema === undefined)
    throw new DataError({ code: "BadColumn", file: "batch", detail: "no batch to take rows from" })
  const children = schema.fields.map((field) => {
    const chunks = batches.map((batch) => chunkNamed(batch, field.name))
    const odd = chunks.find((chunk) => chunk.type !== field.type && String(chunk.type) !== String(field.type))
    if (odd !== undefined) {
      const detail = `column ${field.name} differs between batches`
      throw new DataError({
        code: "BadColumn",
        file: "batch",
        detail,
        expected: String(field.type),
        got: String(odd.type)
      })
    }
    return gather(chunks, spans)
  })
  return batchOf({ schema, type: batches[0]!.data.type }, countRows(spans), children)
}
