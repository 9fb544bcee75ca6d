/**
 * Committed shards as one table with random access: what training and evaluation read.
 *
 * The rows of all `.arrow` files of all artifacts, in order. Shards are read whole and kept, the longest unused ones dropped
 * first, as long as they fit in `cache_bytes`; rows are copied out of them.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { RecordBatch } from "apache-arrow"
import type { CommittedArtifact } from "./ArtifactStore.ts"
import { concatBatches, gatherRows, takeRows } from "./Batches.ts"
import { keyOf } from "./Canonical.ts"
import { attempt, DataError } from "./DataError.ts"
import { decodeShard } from "./Shards.ts"

export interface StoredDataset {
  /** sha256 over the artifacts' digests. */
  readonly digest: string
  readonly numRows: number
  /** Rows of each shard, in order. */
  readonly shardRows: ReadonlyArray<number>
  /** One whole shard. */
  readonly shard: (index: number) => Effect.Effect<RecordBatch, DataError>
  /** The rows at these indices, in this order; repeats are allowed. Fails with BadColumn for an index outside. */
  readonly rows: (indices: Int32Array) => Effect.Effect<RecordBatch, DataError>
}

interface ShardFile {
  readonly artifact: CommittedArtifact
  readonly name: string
  readonly rows: number
  readonly bytes: number
}

const shardsOf = (artifact: CommittedArtifact): ReadonlyArray<ShardFile> =>
  artifact.files
    .filter((file) => file.name.endsWith(".arrow"))
    .map(({ name, rows, bytes }) => ({ artifact, name, rows: rows ?? 0, bytes }))

/** The shard that holds row `row`: the last one that starts at or before it. */
const shardOfRow = (starts: ReadonlyArray<number>, row: number): number => {
  let low = 0
  let high = starts.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (starts[middle]! <= row) low = middle
    else high = middle - 1
  }
  return low
}

const readShard = Effect.fnUntraced(function* (file: ShardFile) {
  const where = `${file.artifact.key.slice(0, 12)}/${file.name}`
  const bytes = yield* file.artifact.read(file.name)
  return yield* attempt({ code: "BadArrow", file: where }, () => concatBatches(decodeShard(bytes, where, file.rows)))
})

/** Opens artifacts that hold shards with the same columns. */
export const openDataset = Effect.fnUntraced(function* (
  artifacts: ReadonlyArray<CommittedArtifact>,
  options: { readonly cache_bytes?: number } = {}
) {
  const files = artifacts.flatMap(shardsOf)
  const starts: Array<number> = []
  const numRows = files.reduce((start, file) => {
    starts.push(start)
    return start + file.rows
  }, 0)

  // Insertion order is the order of use: the first entry is the one unused for longest.
  const cache = new Map<number, RecordBatch>()
  const cacheBytes = options.cache_bytes ?? 512 * 1024 * 1024
  const trim = (): void => {
    let held = 0
    for (const index of [...cache.keys()].toReversed()) {
      held += files[index]!.bytes
      if (held > cacheBytes) cache.delete(index)
    }
  }
  // One reader at a time, so that two requests for a shard read it once.
  const lock = yield* Semaphore.make(1)
  const shard = (index: number): Effect.Effect<RecordBatch, DataError> =>
    lock.withPermits(1)(
      Effect.gen(function* () {
        const batch = cache.get(index) ?? (yield* readShard(files[index]!))
        cache.delete(index)
        cache.set(index, batch)
        trim()
        return batch
      })
    )

  const rows = Effect.fnUntraced(function* (indices: Int32Array) {
    const outside = indices.find((row) => row < 0 || row >= numRows)
    if (outside !== undefined || files.length === 0) {
      const got = String(outside ?? "none")
      return yield* new DataError({
        code: "BadColumn",
        file: "dataset",
        detail: "row index",
        expected: `0 to ${numRows - 1}`,
        got
      })
    }
    return yield* pick(indices)
  })

  /** Shard after shard, so that no more than one is held beyond the cache; then into the order asked for. */
  const pick = Effect.fnUntraced(function* (indices: Int32Array) {
    const places = Array.from(indices, (row) => shardOfRow(starts, row))
    const used = [...new Set(places)].toSorted((a, b) => a - b)
    const wanted = new Map(used.map((index) => [index, { at: 0, rows: [] as Array<number> }]))
    const within = places.map((index, i) => wanted.get(index)!.rows.push(indices[i]! - starts[index]!) - 1)
    const pieces = yield* Effect.forEach(used.length === 0 ? [0] : used, (index, at) => {
      const piece = wanted.get(index) ?? { at, rows: [] }
      piece.at = at
      return Effect.map(shard(index), (batch) => takeRows(batch, Int32Array.from(piece.rows)))
    })
    const which = Int32Array.from(places, (index) => wanted.get(index)!.at)
    return gatherRows(pieces, which, Int32Array.from(within))
  })

  const dataset: StoredDataset = {
    digest: keyOf(artifacts.map((artifact) => artifact.digest)),
    numRows,
    shardRows: files.map((file) => file.rows),
    shard,
    rows
  }
  return dataset
})
