/**
 * Parsing of foreign Parquet and Arrow files: plain functions that run in a process of their own (ParserProcess.ts), because
 * damaged files make these libraries hang, and once stopped the whole process.
 *
 *   inspect   rows per shard: a Parquet row group, or a whole Arrow file
 *   read      the wanted columns of one shard, as one record batch of our types
 */
import { compressionRegistry, CompressionType, tableFromIPC } from "apache-arrow"
import type { RecordBatch, Table } from "apache-arrow"
import { parquetMetadataAsync, parquetReadObjects, parquetSchema } from "hyparquet"
import type { AsyncBuffer, Compressors, FileMetaData } from "hyparquet"
import { open, readFile, stat } from "node:fs/promises"
import type { FileHandle } from "node:fs/promises"
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib"
import { DataError } from "./DataError.ts"
import { toBatch } from "./ForeignColumns.ts"
import type { WantedColumn } from "./ForeignColumns.ts"
import { overLimit } from "./limits.ts"
import type { Limits } from "./limits.ts"

export interface ForeignShape {
  readonly columns: ReadonlyArray<string>
  readonly shards: ReadonlyArray<{ readonly rows: number }>
}

export type ForeignFormat = "parquet" | "arrow"

const refuse = (error: DataError | undefined): void => {
  if (error !== undefined) throw error
}

const compressors: Compressors = {
  GZIP: (input, length) => gunzipSync(input, { maxOutputLength: length }),
  ZSTD: (input, length) => zstdDecompressSync(input, { maxOutputLength: length }),
  BROTLI: (input, length) => brotliDecompressSync(input, { maxOutputLength: length })
}

/** Reads of a file by position, bounded by its size: offsets in a damaged file point anywhere. */
const bufferOf = (handle: FileHandle, byteLength: number, file: string): AsyncBuffer => ({
  byteLength,
  slice: async (start, end = byteLength) => {
    if (start < 0 || end > byteLength || start > end) {
      throw new DataError({ code: "BadParquet", file, detail: `bytes ${start} to ${end} of ${byteLength} don't exist` })
    }
    const bytes = new Uint8Array(end - start)
    await handle.read(bytes, 0, bytes.length, start)
    return bytes.buffer
  }
})

const withParquet = async <A>(
  path: string,
  use: (buffer: AsyncBuffer, metadata: FileMetaData, columns: ReadonlyArray<string>) => Promise<A>
): Promise<A> => {
  const handle = await open(path, "r")
  try {
    const buffer = bufferOf(handle, (await handle.stat()).size, path)
    const metadata = await parquetMetadataAsync(buffer)
    const columns = parquetSchema(metadata).children.map((child) => child.element.name)
    return await use(buffer, metadata, columns)
  } finally {
    await handle.close()
  }
}

const inspectParquet = (path: string, limits: Limits): Promise<ForeignShape> =>
  withParquet(path, async (_, metadata, columns) => {
    refuse(overLimit(limits, "arrow_columns", columns.length, { file: path }))
    const shards = metadata.row_groups.map((group) => {
      const rows = Number(group.num_rows)
      refuse(overLimit(limits, "shard_rows", rows, { file: path }))
      refuse(overLimit(limits, "parquet_row_group_bytes", Number(group.total_byte_size), { file: path }))
      return { rows }
    })
    return { columns, shards }
  })

const readParquet = (path: string, shard: number, wanted: ReadonlyArray<WantedColumn>): Promise<RecordBatch> =>
  withParquet(path, async (file, metadata, columns) => {
    const rowsBefore = metadata.row_groups.slice(0, shard).reduce((rows, group) => rows + Number(group.num_rows), 0)
    const rows = Number(metadata.row_groups[shard]!.num_rows)
    const names = wanted.flatMap((column) => columns.filter((name) => column.names.includes(name)).slice(0, 1))
    const values = await parquetReadObjects({
      file,
      metadata,
      columns: names,
      rowStart: rowsBefore,
      rowEnd: rowsBefore + rows,
      utf8: false,
      compressors
    })
    if (values.length !== rows) {
      const got = `${values.length} rows`
      throw new DataError({ code: "BadParquet", file: path, detail: "row group", expected: `${rows} rows`, got })
    }
    return toBatch(wanted, columns, (name) => values.map((row) => row[name]), path)
  })

compressionRegistry.set(CompressionType.ZSTD, { decode: (bytes) => zstdDecompressSync(bytes) })

const readTable = async (path: string, limits: Limits): Promise<Table> => {
  refuse(overLimit(limits, "arrow_bytes", (await stat(path)).size, { file: path }))
  const table = tableFromIPC(await readFile(path))
  refuse(overLimit(limits, "arrow_columns", table.numCols, { file: path }))
  refuse(overLimit(limits, "shard_rows", table.numRows, { file: path }))
  for (const batch of table.batches)
    refuse(overLimit(limits, "arrow_batch_bytes", batch.data.byteLength, { file: path }))
  return table
}

const inspectArrow = async (path: string, limits: Limits): Promise<ForeignShape> => {
  const table = await readTable(path, limits)
  return { columns: table.schema.names as ReadonlyArray<string>, shards: [{ rows: table.numRows }] }
}

const readArrow = async (path: string, wanted: ReadonlyArray<WantedColumn>, limits: Limits): Promise<RecordBatch> => {
  const table = await readTable(path, limits)
  return toBatch(wanted, table.schema.names as ReadonlyArray<string>, (name) => [...table.getChild(name)!], path)
}

export const inspectForeign = (format: ForeignFormat, path: string, limits: Limits): Promise<ForeignShape> =>
  format === "parquet" ? inspectParquet(path, limits) : inspectArrow(path, limits)

export const readForeign = (
  format: ForeignFormat,
  path: string,
  shard: number,
  wanted: ReadonlyArray<WantedColumn>,
  limits: Limits
): Promise<RecordBatch> => (format === "parquet" ? readParquet(path, shard, wanted) : readArrow(path, wanted, limits))
