/**
 * Stored rows: reading a row set of a finished run, its maps' columns beside its own.
 *
 * A run record lists the keys part by part, each part in shard order: first the row set's own artifacts, then those of each
 * map whose columns (`node.column`) it names, in the order in which they are named.
 */
import { ArtifactStore, columnOf, DataError, makeBatch, openDataset, rowIdHex, rowIdsOf } from "@bootlace/data"
import type { CommittedArtifact, StoredDataset } from "@bootlace/data"
import type { Batch, StoredRows } from "@bootlace/graph"
import { Effect } from "effect"

export interface StoredTable {
  /** Rows for which all columns are there: a map may have rejected some. */
  readonly numRows: number
  /** `row_id` and the columns of the rows at these indices; of all rows without `indices`. */
  readonly rows: (indices?: Int32Array) => Effect.Effect<Batch, DataError>
}

interface Part {
  readonly map: string | undefined
  readonly keys: ReadonlyArray<string>
}

const mapOf = (column: string): string | undefined =>
  column.includes(".") ? column.slice(0, column.lastIndexOf(".")) : undefined

const partsOf = ({ keys, columns }: StoredRows): ReadonlyArray<Part> => {
  const maps = [...new Set(Object.keys(columns).flatMap((column) => mapOf(column) ?? []))]
  const shards = keys.length / (1 + maps.length)
  return [undefined, ...maps].map((map, part) => ({ map, keys: keys.slice(part * shards, (part + 1) * shards) }))
}

const openPart = Effect.fnUntraced(function* ({ keys }: Part) {
  const store = yield* ArtifactStore
  const artifacts: Array<CommittedArtifact> = []
  for (const key of keys) {
    const artifact = yield* store.open(key)
    if (artifact === undefined)
      return yield* new DataError({ code: "NoArtifact", file: key, detail: "run the pipeline again to make it" })
    artifacts.push(artifact)
  }
  return yield* openDataset(artifacts)
})

const allRows = (length: number): Int32Array => Int32Array.from({ length }, (_, row) => row)

/** For every row that all parts have: its index in each of them. */
const align = Effect.fnUntraced(function* (datasets: ReadonlyArray<StoredDataset>) {
  const [first] = datasets
  // A map keeps order and only loses rows, so equal counts are equal rows.
  if (datasets.every(({ numRows }) => numRows === first!.numRows))
    return datasets.map(({ numRows }) => allRows(numRows))
  if (datasets.some(({ numRows }) => numRows === 0)) return datasets.map(() => new Int32Array())
  const places: Array<Map<string, number>> = []
  for (const dataset of datasets) {
    const ids = rowIdsOf(yield* dataset.rows(allRows(dataset.numRows)))
    places.push(new Map(Array.from({ length: dataset.numRows }, (_, row) => [rowIdHex(ids, row), row])))
  }
  const shared = [...places[0]!.keys()].filter((id) => places.every((place) => place.has(id)))
  return places.map((place) => Int32Array.from(shared, (id) => place.get(id)!))
})

/** Opens some columns of a row set, named as the record names them. */
export const openStoredRows = Effect.fnUntraced(function* (stored: StoredRows, columns: ReadonlyArray<string>) {
  const unknown = columns.find((column) => stored.columns[column] === undefined)
  if (unknown !== undefined) {
    const got = Object.keys(stored.columns).join(", ") || "no columns"
    return yield* new DataError({
      code: "BadColumn",
      file: `${stored.node}.${stored.port}`,
      detail: `no stored column ${unknown}`,
      got
    })
  }
  const needed = new Set(columns.map(mapOf))
  const parts = partsOf(stored).filter(({ map }) => map === undefined || needed.has(map))
  const datasets = yield* Effect.forEach(parts, openPart)
  const places = yield* align(datasets)
  const rows = Effect.fnUntraced(function* (indices: Int32Array = allRows(places[0]!.length)) {
    const batches = yield* Effect.forEach(datasets, (dataset, part) =>
      dataset.rows(indices.map((row) => places[part]![row] ?? -1))
    )
    const named = columns.map((column) => {
      const part = parts.findIndex(({ map }) => map === mapOf(column))
      return [column, columnOf(batches[part]!, column.slice(column.lastIndexOf(".") + 1))]
    })
    return makeBatch({ row_id: columnOf(batches[0]!, "row_id"), ...Object.fromEntries(named) })
  })
  const table: StoredTable = { numRows: places[0]!.length, rows }
  return table
})
