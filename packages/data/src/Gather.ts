/**
 * Gather: rows copied out of the chunks of one column, span by span. The result has memory of its own and depends on the
 * values alone: equal rows give equal bytes, whatever they were cut from.
 */
import { DataType, makeData, Vector } from "apache-arrow"
import type { Data, Float32 } from "apache-arrow"
import { joinBytes, validityOf } from "./Columns.ts"

/** Rows `start` up to `end` of chunk number `chunk`. */
export interface RowSpan {
  readonly chunk: number
  readonly start: number
  readonly end: number
}

/** Single rows as spans: row `rows[i]` of chunk `which[i]`, or of the only one. */
export const spansOf = (rows: Int32Array, which?: Int32Array): ReadonlyArray<RowSpan> => {
  const spans: Array<RowSpan> = []
  for (let i = 0; i < rows.length;) {
    const first = i
    const start = rows[i]!
    const chunk = which?.[i] ?? 0
    do i += 1
    while (i < rows.length && rows[i] === start + i - first && (which?.[i] ?? 0) === chunk)
    spans.push({ chunk, start, end: start + i - first })
  }
  return spans
}

export const countRows = (spans: ReadonlyArray<RowSpan>): number =>
  spans.reduce((rows, { start, end }) => rows + end - start, 0)

/** A bit per row, 1 where `isSet`; null where every row's is. */
const bitsOf = (spans: ReadonlyArray<RowSpan>, length: number, isSet: (chunk: number, row: number) => boolean) => {
  let span = 0
  let row = spans[0]?.start ?? 0
  return validityOf(length, () => {
    while (row === spans[span]!.end) row = spans[++span]!.start
    return isSet(spans[span]!.chunk, row++)
  })
}

/** The rows of these chunks, which have one type. */
export const gather = (chunks: ReadonlyArray<Data>, spans: ReadonlyArray<RowSpan>): Data => {
  const type: DataType = chunks[0]!.type
  const length = countRows(spans)
  const validity = chunks.every((chunk) => chunk.nullCount === 0)
    ? { nullCount: 0, nullBitmap: null }
    : bitsOf(spans, length, (chunk, row) => chunks[chunk]!.getValid(row))
  if (DataType.isStruct(type)) {
    const columnOf = (child: number) => chunks.map((chunk) => chunk.children[child]!)
    const children = type.children.map((_, child) => gather(columnOf(child), spans))
    return makeData({ type, length, ...validity, children })
  }
  if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    const packed = gatherBytes(chunks, spans, length)
    return DataType.isUtf8(type)
      ? makeData({ type, length, ...validity, ...packed })
      : makeData({ type, length, ...validity, ...packed })
  }
  if (DataType.isBool(type)) {
    const vectors = chunks.map((chunk) => new Vector([chunk]))
    const bits = bitsOf(spans, length, (chunk, row) => Boolean(vectors[chunk]!.get(row)))
    const allTrue = new Uint8Array(Math.ceil(length / 64) * 8).fill(0xff)
    return makeData({ type, length, ...validity, data: bits.nullBitmap ?? allTrue })
  }
  if (DataType.isFixedSizeList(type)) {
    const values = chunks.map((chunk) => chunk.children[0]!.values)
    const data = gatherNumbers(values, type.listSize, spans, length)
    const child = makeData({ type: type.valueType, length: length * type.listSize, nullCount: 0, data })
    return makeData({ type, length, ...validity, child })
  }
  const stride = DataType.isFixedSizeBinary(type) ? type.byteWidth : 1
  const values = chunks.map((chunk) => chunk.values)
  const data = gatherNumbers(values, stride, spans, length)
  // float32, int32 and fixed_size_binary: makeData is overloaded by type, which is known only at run time here.
  return makeData({ type: type as Float32, length, ...validity, data: data as Float32Array })
}

/** A span's bytes stand together in its chunk. */
const gatherBytes = (chunks: ReadonlyArray<Data>, spans: ReadonlyArray<RowSpan>, length: number) => {
  const valueOffsets = new Int32Array(length + 1)
  const parts: Array<Uint8Array> = []
  let row = 0
  let total = 0
  for (const { chunk, start, end } of spans) {
    const { valueOffsets: offsets, values } = chunks[chunk]!
    const from = offsets[start]!
    parts.push(values.subarray(from, offsets[end]))
    for (let i = start + 1; i <= end; i++) valueOffsets[++row] = total + offsets[i]! - from
    total += offsets[end]! - from
  }
  return { valueOffsets, data: joinBytes(parts, total) }
}

type Numbers = Float32Array | Int32Array | Uint8Array

/** Spans shorter than this are copied number by number: a view costs more than they do. */
const shortSpan = 16

/** `stride` values per row. */
const gatherNumbers = (
  chunks: ReadonlyArray<Numbers>,
  stride: number,
  spans: ReadonlyArray<RowSpan>,
  length: number
): Numbers => {
  const Numbers = chunks[0]!.constructor as new (length: number) => Numbers
  const out = new Numbers(length * stride)
  let at = 0
  for (const { chunk, start, end } of spans) {
    const from = chunks[chunk]!
    const last = end * stride
    if (last - start * stride >= shortSpan) out.set(from.subarray(start * stride, last), at)
    else for (let i = start * stride, to = at; i < last; i++, to++) out[to] = from[i]!
    at += last - start * stride
  }
  return out
}
