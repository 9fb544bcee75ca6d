/**
 * A folder of images with their texts: metadata.jsonl or metadata.csv (`file_name` and a text column, as Hugging Face's
 * ImageFolder), or a .txt beside each image.
 *
 * Rows are cut into shards of 1,024. A shard's key is the sha256 of its images and texts, so it doesn't change when files move.
 */
import * as Effect from "effect/Effect"
import type { RecordBatch } from "apache-arrow"
import { posix } from "node:path"
import { makeBatch } from "./Batches.ts"
import { keyOf, sha256 } from "./Canonical.ts"
import { imageColumn } from "./Columns.ts"
import { attempt, DataError } from "./DataError.ts"
import { Files } from "./Files.ts"
import { findColumn, toVector } from "./ForeignColumns.ts"
import type { WantedColumn } from "./ForeignColumns.ts"
import { decodeUtf8 } from "./Json.ts"
import { overLimit } from "./limits.ts"
import type { Limits } from "./limits.ts"
import { parseMetadata } from "./Metadata.ts"
import { resolveInside } from "./SafePath.ts"

/** A row before its image is read: the image's path, and the further columns by name. */
interface Entry {
  readonly path: string
  readonly values: Readonly<Record<string, unknown>>
  readonly problem?: DataError
}

interface LoadedRow {
  readonly bytes: Uint8Array | undefined
  readonly problem: DataError | undefined
}

export interface FolderShard {
  readonly key: string
  readonly rows: number
  readonly read: (start: number, end: number) => Effect.Effect<FolderRows, DataError, Files>
  /** The image's file, below the folder. */
  readonly place: (row: number) => string
}

export interface FolderRows {
  readonly candidates: RecordBatch
  /** By row of the batch. */
  readonly problems: ReadonlyMap<number, DataError>
}

const shardRows = 1_024

export const isImageName = (name: string): boolean => /\.(jpe?g|png|webp|gif|tiff?|bmp|heic|avif|svg)$/i.test(name)
export const isMetadataName = (name: string): boolean => /(^|\/)metadata\.(jsonl|csv)$/.test(name)
const sidecarOf = (name: string): string => `${name.slice(0, name.lastIndexOf("."))}.txt`

/** `file_name` starts at its metadata file. It is not tidied up, so that a path that leads out is still seen as one. */
const besideMetadata = (metadata: string, fileName: unknown): string => {
  if (typeof fileName !== "string") return ""
  const folder = posix.dirname(metadata)
  return folder === "." || posix.isAbsolute(fileName) ? fileName : `${folder}/${fileName}`
}

const fromMetadata = Effect.fnUntraced(function* (
  root: string,
  name: string,
  wanted: ReadonlyArray<WantedColumn>,
  limits: Limits
) {
  const files = yield* Files
  const path = yield* resolveInside(root, name)
  const size = (yield* files.stat(path))?.size ?? 0
  const tooLong = overLimit(limits, "metadata_bytes", size, { file: name })
  if (tooLong !== undefined) return yield* tooLong
  const bytes = yield* files.read(path)
  return yield* attempt({ code: "BadMetadata", file: name }, () => {
    const rows = parseMetadata(bytes, limits, name)
    const names = [...(rows[0]?.keys() ?? [])]
    const columns = wanted.map((column) => [column.as, rows.length > 0 ? findColumn(column, names, name) : ""] as const)
    return rows.map((row): Entry => {
      return {
        path: besideMetadata(name, row.get("file_name")),
        values: Object.fromEntries(columns.map(([as, from]) => [as, row.get(from)]))
      }
    })
  })
})

/** The text beside an image; what is wrong with it is kept as the row's problem. */
const readSidecar = (root: string, path: string, limits: Limits): Effect.Effect<Entry, never, Files> =>
  Effect.gen(function* () {
    const files = yield* Files
    const where = { file: sidecarOf(path) }
    const real = yield* resolveInside(root, where.file)
    const tooLong = overLimit(limits, "text_bytes", (yield* files.stat(real))?.size ?? 0, where)
    if (tooLong !== undefined) return yield* tooLong
    const bytes = yield* files.read(real)
    const text = yield* attempt({ code: "BadText", ...where }, () => decodeUtf8(bytes, where).trim())
    const entry: Entry = { path, values: { text } }
    return entry
  }).pipe(Effect.catch((problem) => Effect.succeed<Entry>({ path, values: {}, problem })))

const fromSidecars = (root: string, names: ReadonlyArray<string>, limits: Limits) => {
  const there = new Set(names)
  const images = names.filter((name) => isImageName(name) && there.has(sidecarOf(name)))
  return Effect.forEach(images, (path) => readSidecar(root, path, limits), { concurrency: 8 })
}

/** Reads one image; what is wrong with its path or file is kept as the row's problem. */
const loadImage = (root: string, { path, problem }: Entry, limits: Limits): Effect.Effect<LoadedRow, never, Files> =>
  Effect.gen(function* () {
    if (problem !== undefined) return yield* problem
    const files = yield* Files
    const real = yield* resolveInside(root, path)
    const stat = yield* files.stat(real)
    const tooLong = overLimit(limits, "image_bytes", stat?.size ?? 0, { file: path })
    if (tooLong !== undefined) return yield* tooLong
    const loaded: LoadedRow = { bytes: yield* files.read(real), problem: undefined }
    return loaded
  }).pipe(Effect.catch((error) => Effect.succeed<LoadedRow>({ bytes: undefined, problem: error })))

const rowHash = (entry: Entry, { bytes, problem }: LoadedRow): string =>
  keyOf([bytes === undefined ? (problem?.code ?? "") : sha256(bytes), entry.values])

/** A change of a file between the moment it was hashed and the moment it is read would break the shard's key. */
export const changed = (file: string): DataError =>
  new DataError({ code: "Unreadable", file, detail: "the file changed while it was used", hint: "run again" })

const makeShard = Effect.fnUntraced(function* (
  root: string,
  entries: ReadonlyArray<Entry>,
  wanted: ReadonlyArray<WantedColumn>,
  limits: Limits
) {
  const load = (entry: Entry) => loadImage(root, entry, limits)
  const hashes = yield* Effect.forEach(entries, (entry) => Effect.map(load(entry), (row) => rowHash(entry, row)), {
    concurrency: 8
  })
  const read: FolderShard["read"] = Effect.fnUntraced(function* (start, end) {
    const part = entries.slice(start, end)
    const rows = yield* Effect.forEach(part, load, { concurrency: 8 })
    const odd = part.findIndex((entry, i) => rowHash(entry, rows[i]!) !== hashes[start + i])
    if (odd >= 0) return yield* changed(part[odd]!.path)
    const image = imageColumn(rows.map(({ bytes }, i) => (bytes === undefined ? null : { bytes, path: part[i]!.path })))
    const others = yield* attempt({ code: "BadColumn", file: root }, () =>
      wanted.map(
        (column) =>
          [
            column.as,
            toVector(
              column,
              part.map(({ values }) => values[column.as]),
              root
            )
          ] as const
      )
    )
    const problems = new Map(rows.flatMap(({ problem }, i) => (problem === undefined ? [] : [[i, problem] as const])))
    return { candidates: makeBatch({ image, ...Object.fromEntries(others) }), problems }
  })
  const shard: FolderShard = {
    key: keyOf(hashes),
    rows: entries.length,
    read,
    place: (row) => entries[row]!.path
  }
  return shard
})

/**
 * The shards of an image folder; `names` are its files. `wanted` are the columns besides the image. Fails when there is no text
 * for any image.
 */
export const openImageFolder = Effect.fnUntraced(function* (
  root: string,
  names: ReadonlyArray<string>,
  wanted: ReadonlyArray<WantedColumn>,
  limits: Limits
) {
  const metadata = names.filter(isMetadataName)
  const entries =
    metadata.length > 0
      ? (yield* Effect.forEach(metadata, (name) => fromMetadata(root, name, wanted, limits))).flat()
      : yield* fromSidecars(root, names, limits)
  if (entries.length === 0) {
    return yield* new DataError({
      code: "UnknownFormat",
      file: root,
      detail: "images without texts",
      expected: "metadata.jsonl or metadata.csv with file_name and text, or a .txt beside each image"
    })
  }
  const starts = Array.from({ length: Math.ceil(entries.length / shardRows) }, (_, i) => i * shardRows)
  return yield* Effect.forEach(starts, (start) =>
    makeShard(root, entries.slice(start, start + shardRows), wanted, limits)
  )
})
