/** The report's view of the artifact store: Arrow batches as plain values, large images as thumbnails. */
import {
  columnOf,
  decodeImage,
  flagsOf,
  floatsOf,
  imagesOf,
  intsOf,
  readImageHeader,
  resizeBicubic,
  rowIdHex,
  rowIdsOf,
  textsOf
} from "@bootlace/data"
import type { ArtifactStoreShape, DataError } from "@bootlace/data"
import type { ColumnType, StoredRows } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { imageUri } from "./Gallery.ts"
import { encodePng } from "./Png.ts"
import { ReportError } from "./ReportStore.ts"
import type { ReportStore, Row, Value } from "./ReportStore.ts"

type Batch = Parameters<typeof columnOf>[0]

/** How stored rows are read; the runtime knows where each column is. */
export type OpenRows = (
  stored: StoredRows,
  columns: ReadonlyArray<string>
) => Effect.Effect<
  { readonly numRows: number; readonly rows: (indices?: Int32Array) => Effect.Effect<Batch, DataError> },
  DataError
>

/** Images up to this many bytes and pixels a side stand in the page as they are. */
const smallBytes = 12 * 1024
const smallSide = 160
const thumbnailSide = 96

/** The values of one column, undefined where a row has none. */
const valuesOf = (batch: Batch, name: string, type: ColumnType): ReadonlyArray<Value> => {
  const vector = columnOf(batch, name)
  switch (type) {
    case "text":
      return textsOf(vector).map((text) => text ?? undefined)
    case "image":
      return imagesOf(vector).map((image) => image?.bytes)
    case "flag":
      return flagsOf(vector)
    case "label":
      return [...intsOf(vector)]
    case "score":
      return [...floatsOf(vector)]
    case "embedding": {
      const values = floatsOf(vector)
      const size = batch.numRows === 0 ? 0 : values.length / batch.numRows
      return Array.from({ length: batch.numRows }, (_, row) => values.slice(row * size, (row + 1) * size))
    }
    default:
      return Array.from({ length: batch.numRows }, () => undefined)
  }
}

const toReport = <A>(effect: Effect.Effect<A, DataError>): Effect.Effect<A, ReportError> =>
  Effect.mapError(effect, (error) => new ReportError({ detail: error.message }))

const thumbnail = Effect.fnUntraced(function* (bytes: Uint8Array) {
  const { width, height } = yield* Effect.try(() => readImageHeader(bytes, "image"))
  const whole = imageUri(bytes)
  if (whole !== undefined && bytes.length <= smallBytes && Math.max(width, height) <= smallSide) return whole
  const rgb = yield* decodeImage(bytes, { exif: "apply", alpha: "white" })
  const scale = Math.min(1, thumbnailSide / Math.max(rgb.width, rgb.height))
  const side = (length: number) => Math.max(1, Math.round(length * scale))
  const small = resizeBicubic(rgb, side(rgb.width), side(rgb.height))
  return imageUri(encodePng(small.width, small.height, small.data))
})

const parseLines = (bytes: Uint8Array): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  new TextDecoder()
    .decode(bytes)
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)

/** Values by column of every row, `row_id` among them. */
const rowsOf = (batch: Batch, stored: StoredRows, columns: ReadonlyArray<string>): ReadonlyArray<Row> => {
  const ids = rowIdsOf(batch)
  const values = columns.map((name) => valuesOf(batch, name, stored.columns[name]!))
  return Array.from({ length: batch.numRows }, (_, row): Row =>
    Object.fromEntries([["row_id", rowIdHex(ids, row)], ...columns.map((name, c) => [name, values[c]![row]])])
  )
}

/** A store to report from. */
export const makeReportStore = (store: ArtifactStoreShape, openRows: OpenRows): ReportStore => {
  const read = Effect.fnUntraced(function* (key: string, name: string) {
    const artifact = yield* toReport(store.open(key))
    if (artifact === undefined)
      return yield* new ReportError({ detail: `artifact ${key.slice(0, 12)} has gone from the store` })
    return artifact.files.some((file) => file.name === name) ? yield* toReport(artifact.read(name)) : undefined
  })

  const rows: ReportStore["rows"] = Effect.fnUntraced(function* (stored, columns, pick) {
    const table = yield* toReport(openRows(stored, columns))
    if (table.numRows === 0 || pick?.length === 0) return []
    const batch = yield* toReport(table.rows(pick === undefined ? undefined : Int32Array.from(pick)))
    return yield* Effect.try({
      try: () => rowsOf(batch, stored, columns),
      catch: (cause) => new ReportError({ detail: cause instanceof Error ? cause.message : String(cause) })
    })
  })

  const lines: ReportStore["lines"] = Effect.fnUntraced(function* (keys, name) {
    const all: Array<Readonly<Record<string, unknown>>> = []
    for (const key of keys) {
      const bytes = yield* read(key, name)
      if (bytes !== undefined) all.push(...parseLines(bytes))
    }
    return all
  })

  return {
    count: (stored, columns) => Effect.map(toReport(openRows(stored, columns)), ({ numRows }) => numRows),
    rows,
    lines,
    file: (artifact, name) => read(artifact.key, name),
    picture: (bytes) => Effect.orElseSucceed(thumbnail(bytes), () => undefined)
  }
}
