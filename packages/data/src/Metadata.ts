/**
 * metadata.jsonl and metadata.csv of an image folder: one row per image, `file_name` and further columns.
 */
import { DataError } from "./DataError.ts"
import { decodeUtf8, parseJsonText } from "./Json.ts"
import { overLimit } from "./limits.ts"
import type { Limits } from "./limits.ts"

/** Column values of one row; only strings and numbers matter here, other JSON values are kept as they are. */
export type MetadataRow = ReadonlyMap<string, unknown>

const bad = (file: string, detail: string, row?: number): DataError =>
  new DataError({ code: "BadMetadata", file, detail, ...(row === undefined ? {} : { row }) })

const parseJsonl = (text: string, limits: Limits, file: string): ReadonlyArray<MetadataRow> =>
  text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line, row) => {
      const value = parseJsonText(line, limits, { file, row })
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        throw bad(file, "a line must be a JSON object", row)
      }
      return new Map(Object.entries(value))
    })

/** Fields of RFC 4180: commas, CRLF or LF, quotes doubled inside quotes. */
const parseCsvFields = (text: string, file: string): Array<Array<string>> => {
  const rows: Array<Array<string>> = [[]]
  const field = /(?:"([^"]*(?:""[^"]*)*)"|([^",\r\n]*))(,|\r?\n|$)/y
  while (field.lastIndex < text.length) {
    const at = field.lastIndex
    const match = field.exec(text)
    if (match === null) {
      const line = text.slice(0, at).split("\n").length
      throw bad(file, `line ${line}: a quote is not closed, or text stands beside it`)
    }
    rows.at(-1)!.push(match[1]?.replaceAll('""', '"') ?? match[2]!)
    if (match[3] === "") return rows
    if (match[3] === ",") {
      if (field.lastIndex === text.length) rows.at(-1)!.push("")
    } else rows.push([])
  }
  return rows.filter((row) => row.length > 0)
}

const parseCsv = (text: string, file: string): ReadonlyArray<MetadataRow> => {
  const [names, ...rows] = parseCsvFields(text, file).filter((row) => row.length > 1 || row[0] !== "")
  if (names === undefined) return []
  return rows.map((values, row) => {
    if (values.length !== names.length) {
      throw bad(file, `row has ${values.length} fields, the head has ${names.length}`, row)
    }
    return new Map(names.map((name, i) => [name, values[i]]))
  })
}

/** Parses a metadata file by its ending. Throws BadMetadata, BadJson, BadText or OverLimit. */
export const parseMetadata = (bytes: Uint8Array, limits: Limits, file: string): ReadonlyArray<MetadataRow> => {
  const tooLong = overLimit(limits, "metadata_bytes", bytes.length, { file })
  if (tooLong !== undefined) throw tooLong
  const text = decodeUtf8(bytes, { file })
  const rows = file.endsWith(".csv") ? parseCsv(text, file) : parseJsonl(text, limits, file)
  if (rows.length > 0 && !rows[0]!.has("file_name")) {
    const got = [...rows[0]!.keys()].join(", ")
    throw new DataError({
      code: "BadMetadata",
      file,
      detail: "no column file_name",
      expected: "file_name and text",
      got
    })
  }
  return rows
}
