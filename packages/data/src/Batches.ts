/**
 * Record batches: put together, taken apart, rows picked. Row order is the caller's; nothing here changes a value.
 *
 * `gather` is the one way in which rows are copied: it takes row r[i] of chunk c[i] for every i, which is at once take,
 * filter, concat and the random access of datasets.
 */
import { DataType, makeData, RecordBatch, Schema, Struct, Vector } from "apache-arrow"
import type { Data, Float32 } from "apache-arrow"
import { DataError } from "./DataError.ts"
import { fieldOf, packBytes, validityOf } from "./Columns.ts"
import { columnOf } from "./Rows.ts"

export type Vectors = Readonly<Record<string, Vector>>

/** One chunk of a vector; several are joined first. */
const chunkOf = (vector: Vector): Data => {
  if (vector.data.length === 1) return vector.data[0]!
  const lengths = vector.data.map((chunk) => chunk.length)
  return gather(
    vector.data,
    Int32Array.from(lengths.flatMap((length, chunk) => Array<number>(length).fill(chunk))),
    Int32Array.from(lengths.flatMap((length) => Array.from({ length }, (_, row) => row)))
  )
}

/** A batch of columns of equal length. */
export const makeBatch = (columns: Vectors): RecordBatch => {
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
  const children = entries.map(([, vector]) => chunkOf(vector))
  return new RecordBatch(new Schema(fields), makeData({ type: new Struct(fields), length, nullCount: 0, children }))
}

/** The columns of a batch by name, in order. */
export const columnsOf = (batch: RecordBatch): Vectors =>
  Object.fromEntries(batch.schema.fields.map((field) => [field.name, columnOf(batch, field.name)]))

/** The batch with more columns after its own; a name that is there already is replaced in its place. */
export const appendColumns = (batch: RecordBatch, columns: Vectors): RecordBatch =>
  makeBatch({ ...columnsOf(batch), ...columns })

/** Columns picked and renamed: `{ new: old }`, in this order. */
export const selectColumns = (batch: RecordBatch, names: Readonly<Record<string, string>>): RecordBatch =>
  makeBatch(Object.fromEntries(Object.entries(names).map(([to, from]) => [to, columnOf(batch, from)])))

/** Rows from `start` up to `end`, without copying. */
export const sliceRows = (batch: RecordBatch, start: number, end: number): RecordBatch =>
  new RecordBatch(batch.schema, batch.data.slice(start, end - start))

/** The rows at `indices`, in this order; repeats are allowed. */
export const takeRows = (batch: RecordBatch, indices: Int32Array): RecordBatch =>
  gatherRows([batch], new Int32Array(indices.length), indices)

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
export const compactBatches = (batches: ReadonlyArray<RecordBatch>): RecordBatch => {
  const total = batches.reduce((rows, batch) => rows + batch.numRows, 0)
  const which = new Int32Array(total)
  const rows = new Int32Array(total)
  let at = 0
  batches.forEach((batch, number) => {
    for (let row = 0; row < batch.numRows; row++, at++) {
      which[at] = number
      rows[at] = row
    }
  })
  return gatherRows(batches, which, rows)
}

/** Row `rows[i]` of batch `which[i]`, for every i. The columns are those of the first batch. */
export const gatherRows = (batches: ReadonlyArray<RecordBatch>, which: Int32Array, rows: Int32Array): RecordBatch => {
  const schema = batches[0]?.schema
  if (schema === undefined)
    throw new DataError({ code: "BadColumn", file: "batch", detail: "no batch to take rows from" })
  const children = schema.fields.map((field) => {
    const chunks = batches.map((batch) => chunkOf(columnOf(batch, field.name)))
    const odd = chunks.find((chunk) => String(chunk.type) !== String(field.type))
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
    return gather(chunks, which, rows)
  })
  const type = new Struct(schema.fields)
  return new RecordBatch(schema, makeData({ type, length: rows.length, nullCount: 0, children }))
}

/** The same on chunks of one column. */
const gather = (chunks: ReadonlyArray<Data>, which: Int32Array, rows: Int32Array): Data => {
  const type: DataType = chunks[0]!.type
  const length = rows.length
  const validity = chunks.every((chunk) => chunk.nullCount === 0)
    ? { nullCount: 0, nullBitmap: null }
    : validityOf(length, (i) => chunks[which[i]!]!.getValid(rows[i]!))
  if (DataType.isStruct(type)) {
    const children = type.children.map((_, child) =>
      gather(
        chunks.map((chunk) => chunk.children[child]!),
        which,
        rows
      )
    )
    return makeData({ type, length, ...validity, children })
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const parts = Array.from(rows, (row, i) => {
      const { valueOffsets, values } = chunks[which[i]!]!
      return values.subarray(valueOffsets[row], valueOffsets[row + 1]) as Uint8Array
    })
    const packed = packBytes(parts)
    return DataType.isUtf8(type)
      ? makeData({ type, length, ...validity, ...packed })
      : makeData({ type, length, ...validity, ...packed })
  }
  if (DataType.isBool(type)) {
    const vectors = chunks.map((chunk) => new Vector([chunk]))
    const bits = validityOf(length, (i) => Boolean(vectors[which[i]!]!.get(rows[i]!)))
    const allTrue = new Uint8Array(Math.ceil(length / 64) * 8).fill(0xff)
    return makeData({ type, length, ...validity, data: bits.nullBitmap ?? allTrue })
  }
  if (DataType.isFixedSizeList(type)) {
    const values = chunks.map((chunk) => chunk.children[0]!.values)
    const joined = gatherNumbers(values, type.listSize, which, rows)
    const child = makeData({ type: type.valueType, length: length * type.listSize, nullCount: 0, data: joined })
    return makeData({ type, length, ...validity, child })
  }
  const stride = DataType.isFixedSizeBinary(type) ? type.byteWidth : 1
  const data = gatherNumbers(
    chunks.map((chunk) => chunk.values),
    stride,
    which,
    rows
  )
  // float32, int32 and fixed_size_binary: makeData is overloaded by type, which is known only at run time here.
  return makeData({ type: type as Float32, length, ...validity, data: data as Float32Array })
}

type Numbers = Float32Array | Int32Array | Uint8Array

/** `stride` values per row. */
const gatherNumbers = (
  chunks: ReadonlyArray<Numbers>,
  stride: number,
  which: Int32Array,
  rows: Int32Array
): Numbers => {
  const Numbers = chunks[0]!.constructor as new (length: number) => Numbers
  const out = new Numbers(rows.length * stride)
  for (let i = 0; i < rows.length; i++) {
    const from = chunks[which[i]!]!
    const row = rows[i]!
    if (stride === 1) out[i] = from[row]!
    else out.set(from.subarray(row * stride, (row + 1) * stride), i * stride)
  }
  return out
}
