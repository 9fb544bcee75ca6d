/**
 * Columns: from JavaScript values to Arrow vectors and back.
 *
 *   row_id                              fixed_size_binary(16)
 *   image                               struct<bytes: binary, path: utf8>, as Hugging Face stores images
 *   text                                utf8
 *   score, label, flag                  float32, int32, bool
 *   token_ids, embedding, image_tokens  fixed_size_list<int32 or float32>, marked as arrow.fixed_shape_tensor
 *
 * Numbers are wrapped, not copied. A tensor's shape stands on the list's item field, so that a bare vector knows it too.
 */
import {
  Binary,
  Bool,
  Data,
  DataType,
  Field,
  FixedSizeBinary,
  FixedSizeList,
  Float32,
  Int32,
  makeData,
  Struct,
  Utf8,
  Vector
} from "apache-arrow"
import { DataError } from "./DataError.ts"
import { rowIdBytes } from "./RowId.ts"

export interface EncodedImage {
  /** JPEG, PNG or WebP. */
  readonly bytes: Uint8Array
  readonly path?: string | null
}

/** One object per type: layouts of batches are looked up by it. */
const [float32, int32, utf8, binary, bool] = [new Float32(), new Int32(), new Utf8(), new Binary(), new Bool()] as const
const rowIdType = new FixedSizeBinary(rowIdBytes)

export const imageType = new Struct([new Field("bytes", binary, true), new Field("path", utf8, true)]) as Struct<{
  bytes: Binary
  path: Utf8
}>

const shapeKey = "shape"

const tensorTypes = new Map<string, FixedSizeList>()

export const tensorType = (value: Float32 | Int32, shape: ReadonlyArray<number>): FixedSizeList => {
  const id = `${value.toString()} ${shape.join()}`
  const known = tensorTypes.get(id)
  if (known !== undefined) return known
  const item = new Field("item", value, false, new Map([[shapeKey, JSON.stringify(shape)]]))
  const type = new FixedSizeList(product(shape), item)
  tensorTypes.set(id, type)
  return type
}

const product = (shape: ReadonlyArray<number>): number => shape.reduce((size, side) => size * side, 1)

/** The shape of one row of a tensor column, or undefined for another column. */
export const shapeOf = (type: DataType): ReadonlyArray<number> | undefined => {
  if (!DataType.isFixedSizeList(type)) return undefined
  const shape = type.valueField.metadata.get(shapeKey)
  return shape === undefined ? [type.listSize] : JSON.parse(shape)
}

const fields = new WeakMap<DataType, Map<string, Field>>()

/** The field of a column: a tensor gets the canonical extension's metadata, so that pyarrow reads it as one. */
export const fieldOf = (name: string, type: DataType): Field => {
  const named = fields.get(type) ?? new Map<string, Field>()
  fields.set(type, named)
  const known = named.get(name)
  if (known !== undefined) return known
  const shape = shapeOf(type)
  const metadata = new Map<string, string>()
  if (shape !== undefined) {
    metadata.set("ARROW:extension:name", "arrow.fixed_shape_tensor")
    metadata.set("ARROW:extension:metadata", JSON.stringify({ shape }))
  }
  const field = new Field(name, type, !DataType.isFixedSizeBinary(type), metadata)
  named.set(name, field)
  return field
}

interface Validity {
  readonly nullCount: number
  readonly nullBitmap: Uint8Array | null
}

/** One bit per row, 1 = there; no bitmap where nothing is missing. */
export const validityOf = (length: number, isThere: (row: number) => boolean): Validity => {
  const nullBitmap = new Uint8Array(Math.ceil(length / 64) * 8)
  let nullCount = 0
  for (let row = 0; row < length; row++) {
    if (isThere(row)) nullBitmap[row >> 3]! |= 1 << (row & 7)
    else nullCount += 1
  }
  return nullCount === 0 ? { nullCount, nullBitmap: null } : { nullCount, nullBitmap }
}

/** Joined bytes of a variable-width column. Throws OverLimit past 2 GiB, Arrow's bound for one vector. */
export const joinBytes = (parts: ReadonlyArray<Uint8Array | null>, total: number): Uint8Array => {
  if (total > 0x7fffffff) {
    throw new DataError({
      code: "OverLimit",
      file: "column",
      detail: "one vector holds at most 2 GiB of text or bytes"
    })
  }
  const data = new Uint8Array(total)
  let at = 0
  for (const part of parts) {
    if (part === null) continue
    data.set(part, at)
    at += part.length
  }
  return data
}

const packBytes = (parts: ReadonlyArray<Uint8Array | null>) => {
  const valueOffsets = new Int32Array(parts.length + 1)
  let total = 0
  for (let row = 0; row < parts.length; row++) {
    total += parts[row]?.length ?? 0
    valueOffsets[row + 1] = total
  }
  return { valueOffsets, data: joinBytes(parts, total) }
}

const binaryData = (parts: ReadonlyArray<Uint8Array | null>): Data<Binary> =>
  makeData({
    type: binary,
    length: parts.length,
    ...validityOf(parts.length, (row) => parts[row] !== null),
    ...packBytes(parts)
  })

const utf8Data = (texts: ReadonlyArray<string | null>): Data<Utf8> => {
  const encoder = new TextEncoder()
  return makeData({
    type: utf8,
    length: texts.length,
    ...validityOf(texts.length, (row) => texts[row] !== null),
    ...packBytes(texts.map((text) => (text === null ? null : encoder.encode(text))))
  })
}

export const textColumn = (texts: ReadonlyArray<string | null>): Vector<Utf8> => new Vector([utf8Data(texts)])

export const imageColumn = (images: ReadonlyArray<EncodedImage | null>): Vector<typeof imageType> =>
  new Vector([
    makeData({
      type: imageType,
      length: images.length,
      ...validityOf(images.length, (row) => images[row] !== null),
      children: [
        binaryData(images.map((image) => image?.bytes ?? null)),
        utf8Data(images.map((image) => image?.path ?? null))
      ]
    })
  ])

/** What Arrow's makeData comes to for numbers that are all there; it looks up a visitor by type first. */
const numbersIn = <T extends DataType>(type: T, values: T["TArray"]): Vector<T> =>
  new Vector([new Data(type, 0, values.length, 0, [undefined, values])])

export const scoreColumn = (scores: Float32Array): Vector<Float32> => numbersIn(float32, scores)
export const labelColumn = (labels: Int32Array): Vector<Int32> => numbersIn(int32, labels)

export const flagColumn = (flags: ReadonlyArray<boolean>): Vector<Bool> => {
  const bits = new Uint8Array(Math.ceil(flags.length / 64) * 8)
  flags.forEach((flag, row) => flag && (bits[row >> 3]! |= 1 << (row & 7)))
  return new Vector([makeData({ type: bool, length: flags.length, data: bits })])
}

/**
 * `values` [rows, ...shape] as a column of tensors; shares memory with `values`. Float32Array gives float32 (`embedding`,
 * `image_tokens`), Int32Array gives int32 (`token_ids`).
 */
export const tensorColumn = (
  values: Float32Array | Int32Array,
  shape: ReadonlyArray<number>
): Vector<FixedSizeList> => {
  const length = values.length / product(shape)
  if (!Number.isInteger(length)) {
    throw new DataError({
      code: "BadColumn",
      file: "column",
      detail: "values don't divide into rows",
      expected: `a multiple of [${shape.join()}]`,
      got: `${values.length} values`
    })
  }
  const child =
    values instanceof Float32Array ? makeData({ type: float32, data: values }) : makeData({ type: int32, data: values })
  return new Vector([makeData({ type: tensorType(child.type, shape), length, child })])
}

/** Ids as `sourceRowIds` and `derivedRowIds` give them. */
export const rowIdVector = (ids: Uint8Array): Vector<FixedSizeBinary> =>
  new Vector([makeData({ type: rowIdType, length: ids.length / rowIdBytes, data: ids })])
