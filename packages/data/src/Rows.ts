/**
 * Reading columns: typed arrays over Arrow's own memory where rows are numbers, JavaScript values where they aren't.
 *
 * A column that isn't there or has another type throws a DataError (BadColumn): the plan has promised it, so this is an error
 * of the program and no state to recover from.
 */
import { DataType, Vector } from "apache-arrow"
import type { Data, RecordBatch } from "apache-arrow"
import { DataError } from "./DataError.ts"
import type { EncodedImage } from "./Columns.ts"
import { rowIdBytes } from "./RowId.ts"

/** A batch's column by name, as the one chunk that it is. */
export const chunkNamed = (batch: RecordBatch, name: string): Data => {
  const { fields } = batch.schema
  const at = fields.findIndex((field) => field.name === name)
  if (at < 0) {
    throw new DataError({
      code: "BadColumn",
      file: "batch",
      detail: `no column ${name}`,
      got: fields.map((field) => field.name).join(", ") || "no columns"
    })
  }
  return batch.data.children[at]!
}

/** A batch's column by name. */
export const columnOf = (batch: RecordBatch, name: string): Vector => new Vector([chunkNamed(batch, name)])

const wrong = (vector: Vector, expected: string): DataError =>
  new DataError({ code: "BadColumn", file: "column", detail: "wrong type", expected, got: String(vector.type) })

/** The rows of a column as one typed array; copied only when the vector has several chunks. */
const flat = <T extends Float32Array | Int32Array | Uint8Array>(
  vector: Vector,
  empty: T,
  valuesOf: (chunk: Vector["data"][number]) => T
): T => {
  if (vector.data.length === 1) return valuesOf(vector.data[0]!)
  const chunks = vector.data.map(valuesOf)
  const out = empty.constructor as new (length: number) => T
  const joined = new out(chunks.reduce((total, chunk) => total + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    joined.set(chunk, at)
    at += chunk.length
  }
  return joined
}

const isNumbers = (vector: Vector, isType: (type: DataType) => boolean): boolean =>
  isType(vector.type) || (DataType.isFixedSizeList(vector.type) && isType(vector.type.valueType))

/** `score` [rows], `embedding` [rows, D], `image_tokens` [rows, N, D]: float32, row after row. */
export const floatsOf = (vector: Vector): Float32Array => {
  const isFloat32 = (type: DataType) => DataType.isFloat(type) && type.precision === 1
  if (!isNumbers(vector, isFloat32)) throw wrong(vector, "float32 or a list of it")
  return flat(vector, new Float32Array(), (chunk) => numbersOf(chunk) as Float32Array)
}

/** `label` [rows], `token_ids` [rows, T]: int32, row after row. */
export const intsOf = (vector: Vector): Int32Array => {
  const isInt32 = (type: DataType) => DataType.isInt(type) && type.bitWidth === 32 && type.isSigned
  if (!isNumbers(vector, isInt32)) throw wrong(vector, "int32 or a list of it")
  return flat(vector, new Int32Array(), (chunk) => numbersOf(chunk) as Int32Array)
}

/** Arrow pads buffers: only the first length x stride values are rows. */
const numbersOf = (chunk: Vector["data"][number]): Float32Array | Int32Array =>
  DataType.isFixedSizeList(chunk.type)
    ? chunk.children[0]!.values.subarray(0, chunk.length * chunk.type.listSize)
    : chunk.values.subarray(0, chunk.length)

/** 16 bytes per row. */
export const rowIdsOf = (batch: RecordBatch): Uint8Array => {
  const vector = columnOf(batch, "row_id")
  if (!DataType.isFixedSizeBinary(vector.type)) throw wrong(vector, "fixed_size_binary(16)")
  return flat(vector, new Uint8Array(), (chunk) => chunk.values.subarray(0, chunk.length * rowIdBytes))
}

/** `text`; null where a row has none. */
export const textsOf = (vector: Vector): ReadonlyArray<string | null> => {
  if (!DataType.isUtf8(vector.type)) throw wrong(vector, "utf8")
  return [...vector]
}

/** `flag`; a missing row counts as false. */
export const flagsOf = (vector: Vector): ReadonlyArray<boolean> => {
  if (!DataType.isBool(vector.type)) throw wrong(vector, "bool")
  return Array.from(vector, Boolean)
}

/** `image`; bytes are views of Arrow's memory; null where a row has no image. */
export const imagesOf = (vector: Vector): ReadonlyArray<EncodedImage | null> => {
  const bytes = vector.getChild("bytes")
  const path = vector.getChild("path")
  if (bytes === null || !DataType.isBinary(bytes.type)) throw wrong(vector, "struct<bytes: binary, path: utf8>")
  return Array.from({ length: vector.length }, (_, row) => {
    const encoded: Uint8Array | null = vector.isValid(row) ? bytes.get(row) : null
    return encoded === null ? null : { bytes: encoded, path: path?.get(row) ?? null }
  })
}
