/**
 * A shard on disk: one Arrow IPC file, uncompressed, so that equal rows are equal bytes and numbers are read in place.
 *
 * The file format and not the stream: a stream that is cut between two batches reads as a shorter one. Shards of our own are
 * compared with their sha256 before this code sees them, because Arrow's reader notices only a third of all damage.
 */
import { RecordBatchFileWriter, tableFromIPC } from "apache-arrow"
import type { RecordBatch } from "apache-arrow"
import { DataError } from "./DataError.ts"

/** The bytes of a shard; at least one batch, which may have no rows. */
export const encodeShard = (batches: ReadonlyArray<RecordBatch>): Uint8Array => {
  if (batches.length === 0) throw new DataError({ code: "BadArrow", file: "shard", detail: "a shard needs a batch" })
  return RecordBatchFileWriter.writeAll(batches).toUint8Array(true)
}

/** The batches of a shard whose bytes are known to be good; `rows` is what the manifest says. Throws BadArrow. */
export const decodeShard = (bytes: Uint8Array, file: string, rows?: number): ReadonlyArray<RecordBatch> => {
  const table = tableFromIPC(bytes)
  if (rows !== undefined && table.numRows !== rows) {
    const expected = `${rows} rows`
    throw new DataError({ code: "BadArrow", file, detail: "row count", expected, got: `${table.numRows} rows` })
  }
  return table.batches
}
