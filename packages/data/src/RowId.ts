/**
 * Row ids: 128 bits that name a row wherever it was read, and that randomness, ledgers and joins hang on.
 *
 *   a row of a source     hash(content key of its shard, index in the shard)
 *   a row made of a row   hash(parent's id, node, ordinal among its siblings)
 *
 * Each hash is sha256 cut to its first 16 bytes; a word in front keeps the two kinds apart. Ids stand one after the other
 * in a Uint8Array of 16 bytes a row, as in the `row_id` column.
 */
import { hash } from "node:crypto"

export const rowIdBytes = 16

const writeHash = (input: Uint8Array, out: Uint8Array, row: number): void => {
  out.set(hash("sha256", input, "buffer").subarray(0, rowIdBytes), row * rowIdBytes)
}

/** Ids of the rows `start` up to `start + count` of a shard. */
export const sourceRowIds = (shardKey: string, start: number, count: number): Uint8Array<ArrayBuffer> => {
  const prefix = new TextEncoder().encode(`source\0${shardKey}\0`)
  const input = new Uint8Array(prefix.length + 8)
  input.set(prefix)
  const view = new DataView(input.buffer)
  const out = new Uint8Array(count * rowIdBytes)
  for (let i = 0; i < count; i++) {
    view.setBigUint64(prefix.length, BigInt(start + i), true)
    writeHash(input, out, i)
  }
  return out
}

/** Ids of rows that `node` derives: row i is child number `ordinals[i]` of the parent whose id is the i-th of `parentIds`. */
export const derivedRowIds = (parentIds: Uint8Array, node: string, ordinals: Int32Array): Uint8Array<ArrayBuffer> => {
  const prefix = new TextEncoder().encode(`derived\0${node}\0`)
  const input = new Uint8Array(prefix.length + rowIdBytes + 4)
  input.set(prefix)
  const view = new DataView(input.buffer)
  const out = new Uint8Array(ordinals.length * rowIdBytes)
  for (let i = 0; i < ordinals.length; i++) {
    input.set(parentIds.subarray(i * rowIdBytes, (i + 1) * rowIdBytes), prefix.length)
    view.setInt32(prefix.length + rowIdBytes, ordinals[i]!, true)
    writeHash(input, out, i)
  }
  return out
}

/** Lower-case hex of the id of one row. */
export const rowIdHex = (ids: Uint8Array, row: number): string =>
  Buffer.from(ids.buffer, ids.byteOffset + row * rowIdBytes, rowIdBytes).toString("hex")
