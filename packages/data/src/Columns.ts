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
import type { Data } from "apache-arrow"
import { DataError } from "./DataError.ts"
import { rowIdBytes } from "./RowId.ts"

export interface EncodedImage {
  /** JPEG, PNG or WebP. */
  readonly bytes: Uint8Array
  readonly path?: string | null
}

export const imageType = new Struct([
  new Field("bytes", new Binary(), true),
  new Field("path", new Utf8(), true)
]) as Struct<{ bytes: Binary; path: Utf8 }>

const shapeKey = "shape"

export const tensorType = (value: Float32 | Int32, shape: ReadonlyArray<number>): FixedSizeList => {
  const item = new Field("item", value, false, new Map([[shapeKey, JSON.stringify(shape)]]))
  return new FixedSizeList(product(shape), item)
}

const product = (shape: ReadonlyArray<number>): number => shape.reduce((size, side) => size * side, 1)

/** The shape of one row of a tensor column, or undefined for another column. */
export const shapeOf = (type: DataType): ReadonlyArray<number> | undefined => {
  if (!DataType.isFixedSizeList(type)) return undefined
  const shape = type.valueField.metadata.get(shapeKey)
  return shape === undefined ? [type.listSize] : JSON.parse(shape)
}

/** The field of a column: a tensor gets the canonical extension's metadata, so that pyarrow reads it as one. */
export const fieldOf = (name: string, type: DataType): Field => {
  const shape = shapeOf(type)
  const metadata = new Map<string, string>()
  if (shape !== undefined) {
    metadata.set("ARROW:extension:name", "arrow.fixed_shape_tensor")
    metadata.set("ARROW:extension:metadata", JSON.stringify({ shape }))
  }
  return new Field(name, type, !DataType.isFixedSizeBinary(type), metadata)
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

/** Offsets and joined bytes of a variable-width column. Throws OverLimit past 2 GiB, Arrow's bound for one vector. */
export const packBytes = (parts: ReadonlyArray<Uint8Array | null>) => {
  const valueOffsets = new Int32Array(parts.length + 1)
  let total = 0
  for (let row = 0; row < parts.length; row++) {
    total += parts[row]?.length ?? 0
    if (total > 0x7fffffff) {
      throw new DataError({
        code: "OverLimit",
        file: "column",
        detail: "one vector holds at most 2 GiB of text or bytes"
      })
    }
    valueOffsets[row + 1] = total
  }
  const data = new Uint8Array(total)
  parts.forEach((part, row) => part && data.set(part, valueOffsets[row]!))
  return { valueOffsets, data }
}

const binaryData = (parts: ReadonlyArray<Uint8Array | null>): Data<Binary> =>
  makeData({
    type: new Binary(),
    length: parts.length,
    ...validityOf(parts.length, (row) => parts[row] !== null),
    ...packBytes(parts)
  })

const utf8Data = (texts: ReadonlyArray<string | null>): Data<Utf8> => {
  const encoder = new TextEncoder()
  return makeData({
    type: new Utf8(),
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

export const scoreColumn = (scores: Float32Array): Vector<Float32> =>
  new Vector([makeData({ type: new Float32(), data: scores })])

export const labelColumn = (labels: Int32Array): Vector<Int32> =>
  new Vector([makeData({ type: new Int32(), data: labels })])

export const flagColumn = (flags: ReadonlyArray<boolean>): Vector<Bool> => {
  const bits = new Uint8Array(Math.ceil(flags.length / 64) * 8)
  flags.forEach((flag, row) => flag && (bits[row >> 3]! |= 1 << (row & 7)))
  return new Vector([makeData({ type: new Bool(), length: flags.length, data: bits })])
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
    values instanceof Float32Array
      ? makeData({ type: new Float32(), data: values })
      : makeData({ type: new Int32(), data: values })
  return new Vector([makeData({ type: tensorType(child.type, shape), length, child })])
}

/** Ids as `sourceRowIds` and `derivedRowIds` give them. */
export const rowIdVector = (ids: Uint8Array): Vector<FixedSizeBinary> =>
  new Vector([makeData({ type: new FixedSizeBinary(rowIdBytes), length: ids.length / rowIdBytes, data: ids })])
