/**
 * Image-text pairs from wherever they are: what ReadPairs reads.
 *
 *   a Parquet file or a folder of them   Hugging Face's image datasets; one shard per row group
 *   an Arrow file (file or stream)       one shard per file; `save_to_disk` folders among them
 *   a folder of images                   metadata.jsonl, metadata.csv or a .txt beside each image
 *
 * Gives columns row_id, image, text. Shards are known by their content: the same data under another path is the same source.
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { basename, dirname, join } from "node:path"
import { sliceRows } from "./Batches.ts"
import { keyOf } from "./Canonical.ts"
import { DataError } from "./DataError.ts"
import { Files, hashFile } from "./Files.ts"
import type { WantedColumn } from "./ForeignColumns.ts"
import type { ForeignFormat } from "./ForeignFile.ts"
import { makeForeignParser } from "./ForeignParser.ts"
import type { ForeignParser } from "./ForeignParser.ts"
import { changed, isImageName, isMetadataName, openImageFolder } from "./ImageFolder.ts"
import type { FolderRows } from "./ImageFolder.ts"
import { defaultLimits } from "./limits.ts"
import type { Limits } from "./limits.ts"
import { checkPairs } from "./PairRows.ts"
import type { PairBatch, RowChecks } from "./PairRows.ts"
import { listInside, resolveInside } from "./SafePath.ts"

export interface PairShard {
  readonly key: string
  readonly rows: number
}

export interface PairSource {
  /** sha256 over the contents. */
  readonly content: string
  readonly shards: ReadonlyArray<PairShard>
  /** A shard's rows in order, in batches. */
  readonly read: (shard: number) => Stream.Stream<PairBatch, DataError, Files>
  /** A row's file, and where it stands in it if it holds several. */
  readonly place: (shard: number, row: number) => string
}

export interface PairOptions {
  readonly limits?: Limits
  /** Defaults to `image`. */
  readonly image_column?: string
  /** Defaults to `text`, else `caption`. */
  readonly text_column?: string
  /** Further columns to carry along, by name. */
  readonly columns?: Readonly<Record<string, "text" | "label" | "score">>
  readonly images?: RowChecks["images"]
  /** Rows per batch. Defaults to 256. */
  readonly batch_rows?: number
}

/** A shard of any format: how to get the rows `start` up to `end` before they are checked. */
interface OpenShard extends PairShard {
  readonly file: string
  /** From the data's folder on. */
  readonly place: (row: number) => string
  readonly load: Effect.Effect<(start: number, end: number) => Effect.Effect<FolderRows, DataError, Files>, DataError>
}

const foreignEndings: Readonly<Record<string, ForeignFormat>> = {
  parquet: "parquet",
  arrow: "arrow",
  arrows: "arrow",
  feather: "arrow",
  ipc: "arrow"
}

const formatOf = (name: string): ForeignFormat | undefined => foreignEndings[name.split(".").at(-1)!.toLowerCase()]

/** `name` is shown, `path` is read. */
const openForeign = Effect.fnUntraced(function* (
  name: string,
  path: string,
  wanted: ReadonlyArray<WantedColumn>,
  parser: ForeignParser
) {
  const format = formatOf(name)!
  const content = yield* hashFile(path)
  const { shards } = yield* parser.inspect(format, path)
  let before = 0
  return shards.map(({ rows }, i): OpenShard => {
    const first = before
    before += rows
    const load = Effect.map(parser.read(format, path, i, wanted), (batch) => (start: number, end: number) => {
      const part = { candidates: sliceRows(batch, start, end), problems: new Map<number, DataError>() }
      return batch.numRows === rows ? Effect.succeed(part) : Effect.fail(changed(name))
    })
    const place = (row: number) => `${name} row ${first + row}`
    return { key: keyOf({ file: content, shard: i }), rows, file: name, place, load }
  })
})

/** Equal shards would give equal row ids: the second, third... of the same content get keys of their own. */
const distinctKeys = (shards: ReadonlyArray<OpenShard>): ReadonlyArray<OpenShard> => {
  const times = new Map<string, number>()
  return shards.map((shard) => {
    const time = times.get(shard.key) ?? 0
    times.set(shard.key, time + 1)
    return time === 0 ? shard : { ...shard, key: keyOf({ shard: shard.key, time }) }
  })
}

/** Which files of the data are read, and how; fails when nothing known is there. */
const chooseFiles = (path: string, names: ReadonlyArray<string>) => {
  const foreign = names.filter((name) => formatOf(name) !== undefined)
  if (foreign.length > 0) return Effect.succeed({ foreign })
  if (names.some((name) => isImageName(name) || isMetadataName(name))) return Effect.succeed({ foreign })
  return Effect.fail(
    new DataError({
      code: "UnknownFormat",
      file: path,
      detail: "nothing to read pairs from",
      expected: "Parquet or Arrow files, or images with metadata.jsonl, metadata.csv or .txt files",
      got: names.slice(0, 5).join(", ") || "an empty folder"
    })
  )
}

const wantedColumns = (options: PairOptions): ReadonlyArray<WantedColumn> => [
  { names: options.text_column === undefined ? ["text", "caption"] : [options.text_column], as: "text", type: "text" },
  ...Object.entries(options.columns ?? {}).map(([name, type]): WantedColumn => ({ names: [name], as: name, type }))
]

const imageWanted = (options: PairOptions): WantedColumn => ({
  names: [options.image_column ?? "image"],
  as: "image",
  type: "image"
})

/**
 * Opens pairs at a path. Every byte is read once for the content's hash. Fails with Missing, UnknownFormat, BadColumn and the
 * parsers' errors.
 */
export const openPairs = (
  path: string,
  options: PairOptions = {}
): Effect.Effect<PairSource, DataError, Files | Scope.Scope> =>
  Effect.gen(function* () {
    const files = yield* Files
    const limits = options.limits ?? defaultLimits
    const stat = yield* files.stat(path)
    if (stat === undefined) {
      return yield* new DataError({ code: "Missing", file: path, detail: "no such file or folder" })
    }
    const isFolder = stat.kind === "folder"
    const root = isFolder ? path : dirname(path)
    const names = isFolder ? yield* listInside(path, limits) : [basename(path)]
    const { foreign } = yield* chooseFiles(path, names)
    const parser = yield* makeForeignParser(limits)
    const columns = wantedColumns(options)
    const opened =
      foreign.length > 0
        ? yield* Effect.forEach(foreign, (name) =>
            // A file that the user names may be a link; a file found in a folder may not lead out of it.
            Effect.flatMap(isFolder ? resolveInside(root, name) : files.realPath(path), (real) =>
              openForeign(name, real, [imageWanted(options), ...columns], parser)
            )
          )
        : [
            (yield* openImageFolder(root, names, columns, limits)).map((shard): OpenShard => ({
              ...shard,
              file: basename(path),
              load: Effect.succeed(shard.read)
            }))
          ]
    const shards = distinctKeys(opened.flat())
    const checks: RowChecks = { limits, images: options.images ?? "decode" }
    return {
      content: keyOf(shards.map(({ key }) => key)),
      shards: shards.map(({ key, rows }) => ({ key, rows })),
      place: (shard, row) => join(root, shards[shard]!.place(row)),
      read: (shard) => readShard(shards[shard]!, checks, options.batch_rows ?? 256)
    }
  })

const readShard = (
  shard: OpenShard,
  checks: RowChecks,
  batchRows: number
): Stream.Stream<PairBatch, DataError, Files> =>
  Stream.unwrap(
    Effect.map(shard.load, (load) => {
      const starts = Array.from({ length: Math.max(1, Math.ceil(shard.rows / batchRows)) }, (_, i) => i * batchRows)
      return Stream.fromIterable(starts).pipe(
        Stream.mapEffect((start) =>
          Effect.flatMap(load(start, Math.min(start + batchRows, shard.rows)), ({ candidates, problems }) =>
            checkPairs(candidates, { file: shard.file, key: shard.key, start }, checks, problems)
          )
        )
      )
    })
  )
