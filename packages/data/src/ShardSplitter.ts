/**
 * Cuts a stream of batches into shards whose borders depend on the rows alone, never on how they were batched.
 *
 * A shard is full when it holds `max_rows` rows, or when the next row would take it past `max_bytes` (one row always fits).
 * Each shard is one record batch with memory of its own, so that equal rows become equal bytes.
 */
import { DataType } from "apache-arrow"
import type { Data, RecordBatch } from "apache-arrow"
import { compactBatches, sliceRows } from "./Batches.ts"
import { defaultShardSize } from "./ShardSize.ts"
import type { ShardSize } from "./ShardSize.ts"

export interface ShardSplitter {
  /** Takes a batch; gives the shards that it completes. */
  readonly push: (batch: RecordBatch) => ReadonlyArray<RecordBatch>
  /** The rows since the last full shard, or undefined. They stay until `finish`. */
  readonly pending: () => RecordBatch | undefined
  /** Gives what is left; the splitter is empty after it. */
  readonly finish: () => RecordBatch | undefined
}

/** Bytes of values (not padding) that a column adds per row. */
const addRowBytes = (data: Data, sizes: Float64Array): void => {
  const type: DataType = data.type
  if (DataType.isStruct(type)) {
    for (const child of data.children) addRowBytes(child, sizes)
  } else if (DataType.isUtf8(type) || DataType.isBinary(type)) {
    for (let row = 0; row < sizes.length; row++) sizes[row]! += data.valueOffsets[row + 1] - data.valueOffsets[row]
  } else {
    const bytes = DataType.isFixedSizeList(type)
      ? 4 * type.listSize
      : DataType.isFixedSizeBinary(type)
        ? type.byteWidth
        : 4
    for (let row = 0; row < sizes.length; row++) sizes[row]! += bytes
  }
}

export const makeShardSplitter = (size: ShardSize = defaultShardSize): ShardSplitter => {
  let held: Array<RecordBatch> = []
  let rows = 0
  let bytes = 0

  const take = (): RecordBatch | undefined => {
    const shard = held.length === 0 ? undefined : compactBatches(held)
    held = []
    rows = 0
    bytes = 0
    return shard
  }

  const push = (batch: RecordBatch): ReadonlyArray<RecordBatch> => {
    const sizes = new Float64Array(batch.numRows)
    for (const child of batch.data.children) addRowBytes(child, sizes)
    const full: Array<RecordBatch> = []
    let start = 0
    const hold = (end: number): void => {
      if (end > start || held.length === 0) held.push(sliceRows(batch, start, end))
      start = end
    }
    sizes.forEach((rowBytes, row) => {
      if (rows > 0 && (rows >= size.max_rows || bytes + rowBytes > size.max_bytes)) {
        hold(row)
        full.push(take()!)
      }
      rows += 1
      bytes += rowBytes
    })
    hold(batch.numRows)
    return full
  }

  return { push, pending: () => (held.length === 0 ? undefined : compactBatches(held)), finish: take }
}
