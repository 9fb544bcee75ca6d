/**
 * Foreign columns to ours, value by value: what stands in a Parquet or Arrow file becomes image, text, label or score, or an
 * error that names the column. Missing values stay missing.
 */
import type { RecordBatch, Vector } from "apache-arrow"
import { makeBatch } from "./Batches.ts"
import { imageColumn, labelColumn, scoreColumn, textColumn } from "./Columns.ts"
import type { EncodedImage } from "./Columns.ts"
import { DataError } from "./DataError.ts"

export type ForeignType = "image" | "text" | "label" | "score"

/** A column to read: the first of `names` that is there. It is called `as` in the batch that comes out. */
export interface WantedColumn {
  readonly names: ReadonlyArray<string>
  readonly as: string
  readonly type: ForeignType
}

/** The column that a wish finds among `names`. Throws BadColumn, with what is there. */
export const findColumn = (wanted: WantedColumn, names: ReadonlyArray<string>, file: string): string => {
  const name = wanted.names.find((candidate) => names.includes(candidate))
  if (name !== undefined) return name
  throw new DataError({
    code: "BadColumn",
    file,
    detail: `no column for ${wanted.as}`,
    expected: wanted.names.join(" or "),
    got: names.slice(0, 20).join(", ") || "no columns",
    hint: `say which column is the ${wanted.as}`
  })
}

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array

const toImage = (value: unknown): EncodedImage | null | undefined => {
  if (isBytes(value)) return { bytes: value }
  if (typeof value !== "object" || value === null) return undefined
  const { bytes, path } = value as { readonly bytes?: unknown; readonly path?: unknown }
  if (isBytes(bytes)) return { bytes, path: typeof path === "string" ? path : null }
  // A path alone points to a file that did not come with the data.
  return bytes === null || bytes === undefined ? null : undefined
}

/** A label is an int32; a score any finite number, also spelled as text, as CSV has it. */
const toNumber = (type: ForeignType, value: unknown): number | undefined => {
  if (typeof value === "string" && value.trim() === "") return undefined
  const number = Number(value)
  return (type === "label" ? (number | 0) === number : Number.isFinite(number)) ? number : undefined
}

const convert = <A>(
  wanted: WantedColumn,
  values: ReadonlyArray<unknown>,
  file: string,
  to: (value: unknown) => A | undefined
): ReadonlyArray<A | null> =>
  values.map((value, row) => {
    if (value === null || value === undefined) return null
    const converted = to(value)
    if (converted !== undefined) return converted
    const got = isBytes(value)
      ? "bytes"
      : Array.isArray(value)
        ? "a list"
        : `the ${typeof value} ${String(value).slice(0, 40)}`
    throw new DataError({ code: "BadColumn", file, row, detail: `column ${wanted.as}`, expected: wanted.type, got })
  })

const numbers = (wanted: WantedColumn, values: ReadonlyArray<unknown>, file: string): ReadonlyArray<number> =>
  convert(wanted, values, file, (value) => toNumber(wanted.type, value)).map((value, row) => {
    if (value !== null) return value
    throw new DataError({
      code: "BadColumn",
      file,
      row,
      detail: `column ${wanted.as} has no value`,
      expected: wanted.type
    })
  })

/** The vector of a column's values. Throws BadColumn for a value of another type. */
export const toVector = (wanted: WantedColumn, values: ReadonlyArray<unknown>, file: string): Vector => {
  switch (wanted.type) {
    case "image":
      return imageColumn(convert(wanted, values, file, toImage))
    case "text":
      return textColumn(convert(wanted, values, file, (value) => (typeof value === "string" ? value : undefined)))
    case "label":
      return labelColumn(Int32Array.from(numbers(wanted, values, file)))
    case "score":
      return scoreColumn(Float32Array.from(numbers(wanted, values, file)))
  }
}

/** One batch of the wanted columns; `valuesOf` gives a column's values by its name in the file. */
export const toBatch = (
  wanted: ReadonlyArray<WantedColumn>,
  names: ReadonlyArray<string>,
  valuesOf: (name: string) => ReadonlyArray<unknown>,
  file: string
): RecordBatch =>
  makeBatch(
    Object.fromEntries(
      wanted.map((column) => [column.as, toVector(column, valuesOf(findColumn(column, names, file)), file)])
    )
  )
