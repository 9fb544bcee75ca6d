/** The report's view of the artifact store: Arrow shards as plain values, large images as thumbnails. */
import {
  columnOf,
  decodeImage,
  flagsOf,
  floatsOf,
  imagesOf,
  intsOf,
  openDataset,
  readImageHeader,
  resizeBicubic,
  rowIdHex,
  rowIdsOf,
  textsOf
} from "@bootlace/data"
import type { ArtifactStoreShape, CommittedArtifact, DataError, StoredDataset } from "@bootlace/data"
import type { ColumnType, StoredRows } from "@bootlace/graph"
import { Effect } from "effect"
import { imageUri } from "./Gallery.ts"
import { encodePng } from "./Png.ts"
import { ReportError } from "./ReportStore.ts"
import type { ReportStore, Row, Value } from "./ReportStore.ts"

type Batch = Parameters<typeof columnOf>[0]

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

/** Column names inside an artifact: a map's `node.column` is stored as `column`. */
const storedName = (name: string): string => name.slice(name.lastIndexOf(".") + 1)

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

/** A store to report from. Artifacts are opened once; shards are kept in memory while a page is made. */
export const makeReportStore = (store: ArtifactStoreShape): ReportStore => {
  const datasets = new Map<string, StoredDataset>()
  const ids = new Map<string, ReadonlyArray<string>>()

  const open = Effect.fnUntraced(function* (key: string) {
    const artifact = yield* toReport(store.open(key))
    if (artifact === undefined)
      return yield* new ReportError({ detail: `artifact ${key.slice(0, 12)} has gone from the store` })
    return artifact
  })

  const datasetOf = Effect.fnUntraced(function* (stored: StoredRows) {
    const id = stored.keys.join()
    const known = datasets.get(id)
    if (known !== undefined) return known
    const artifacts: ReadonlyArray<CommittedArtifact> = yield* Effect.forEach(stored.keys, open)
    const dataset = yield* openDataset(artifacts, { cache_bytes: 64 * 1024 * 1024 })
    datasets.set(id, dataset)
    return dataset
  })

  const idsOf = Effect.fnUntraced(function* (stored: StoredRows) {
    const key = stored.keys.join()
    const known = ids.get(key)
    if (known !== undefined) return known
    const dataset = yield* datasetOf(stored)
    const all: Array<string> = []
    for (const shard of dataset.shardRows.keys()) {
      const batch = yield* toReport(dataset.shard(shard))
      const bytes = rowIdsOf(batch)
      for (let row = 0; row < batch.numRows; row++) all.push(rowIdHex(bytes, row))
    }
    ids.set(key, all)
    return all
  })

  const rows: ReportStore["rows"] = Effect.fnUntraced(function* (stored, columns, pick) {
    const dataset = yield* datasetOf(stored)
    const indices = Int32Array.from(pick ?? Array.from({ length: dataset.numRows }, (_, i) => i))
    if (indices.length === 0) return []
    const batch = yield* toReport(dataset.rows(indices))
    const values = yield* Effect.try({
      try: () => columns.map((name) => valuesOf(batch, storedName(name), stored.columns[name]!)),
      catch: (cause) => new ReportError({ detail: cause instanceof Error ? cause.message : String(cause) })
    })
    return Array.from({ length: batch.numRows }, (_, row): Row =>
      Object.fromEntries(columns.map((name, c) => [name, values[c]![row]]))
    )
  })

  const read = (artifact: CommittedArtifact, name: string): Effect.Effect<Uint8Array | undefined, ReportError> =>
    artifact.files.some((file) => file.name === name) ? toReport(artifact.read(name)) : Effect.succeed(undefined)

  const lines: ReportStore["lines"] = Effect.fnUntraced(function* (stored, name) {
    const all: Array<Readonly<Record<string, unknown>>> = []
    for (const key of stored.keys) {
      const bytes = yield* read(yield* open(key), name)
      if (bytes !== undefined) all.push(...parseLines(bytes))
    }
    return all
  })

  return {
    ids: idsOf,
    rows,
    lines,
    file: (artifact, name) => Effect.flatMap(open(artifact.key), (opened) => read(opened, name)),
    picture: (bytes) => Effect.orElseSucceed(thumbnail(bytes), () => undefined)
  }
}
