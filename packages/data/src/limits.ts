/**
 * The one table of limits on untrusted input. Every limit can be overridden by name, and every error that comes from one
 * names it, so that a person knows which number to change.
 */
import { DataError } from "./DataError.ts"

export interface Limits {
  /** Encoded image, bytes. */
  readonly image_bytes: number
  /** Decoded image, width x height. */
  readonly image_pixels: number
  /** Longest side of an image, pixels. */
  readonly image_side: number
  /** Frames of an animation. */
  readonly image_frames: number
  /** One text, bytes of UTF-8. */
  readonly text_bytes: number
  /** One JSON document, bytes. */
  readonly json_bytes: number
  readonly json_depth: number
  /** A metadata.jsonl or metadata.csv, bytes. */
  readonly metadata_bytes: number
  /** Rows of one shard of foreign data. */
  readonly shard_rows: number
  readonly safetensors_header_bytes: number
  readonly safetensors_tensors: number
  /** A foreign Arrow file, bytes. */
  readonly arrow_bytes: number
  /** Columns of a foreign Arrow or Parquet file. */
  readonly arrow_columns: number
  /** One record batch of a foreign Arrow file, bytes. */
  readonly arrow_batch_bytes: number
  /** A row group of a foreign Parquet file, uncompressed bytes. */
  readonly parquet_row_group_bytes: number
  /** Memory that the process which parses foreign files may take, beyond three times the file, MiB. */
  readonly parser_memory_mib: number
  /** Time to parse one shard of a foreign file, milliseconds. */
  readonly parser_timeout_ms: number
  /** Files of one folder. */
  readonly folder_files: number
}

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

export const defaultLimits: Limits = {
  image_bytes: 32 * MiB,
  image_pixels: 50_000_000,
  image_side: 16_384,
  image_frames: 1,
  text_bytes: 64 * KiB,
  json_bytes: 64 * MiB,
  json_depth: 64,
  metadata_bytes: 1 * GiB,
  shard_rows: 10_000_000,
  safetensors_header_bytes: 16 * MiB,
  safetensors_tensors: 100_000,
  arrow_bytes: 2 * GiB,
  arrow_columns: 1_000,
  arrow_batch_bytes: 256 * MiB,
  parquet_row_group_bytes: 1 * GiB,
  parser_memory_mib: 512,
  parser_timeout_ms: 5_000,
  folder_files: 2_000_000
}

export const withLimits = (overrides: Partial<Limits>): Limits => ({ ...defaultLimits, ...overrides })

/** Where an error happened: a file, and a row of it where one is to blame. */
export interface Where {
  readonly file: string
  readonly row?: number
}

/** The error of a value above its limit, or undefined when it is within. */
export const overLimit = (limits: Limits, name: keyof Limits, value: number, where: Where): DataError | undefined =>
  value <= limits[name]
    ? undefined
    : new DataError({
        code: "OverLimit",
        ...where,
        detail: `${name} is limited`,
        expected: `at most ${limits[name]}`,
        got: String(value),
        hint: `raise limits.${name} if you trust this input`
      })
