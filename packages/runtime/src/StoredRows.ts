/** Stored rows: reading a row set of a run, its maps' columns beside its own, joined by row id. */
import {
  ArtifactStore,
  columnOf,
  DataError,
  gatherRows,
  makeBatch,
  openDataset,
  rowIdHex,
  rowIdsOf
} from "@bootlace/data"
import type { StoredDataset } from "@bootlace/data"
import type { Batch, StoredRows } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { IndexedRows, RowsPart } from "./RowIndex.ts"

export interface StoredTable {
  /** Rows for which all columns are there: a map may have rejected some. */
  readonly numRows: number
  /** `row_id` and the columns of the rows at these indices; of all rows without `indices`. */
  readonly rows: (indices?: Int32Array) => Effect.Effect<Batch, DataError>
}

const openShard = Effect.fnUntraced(function* (key: string) {
  const store = yield* ArtifactStore
  const artifact = yield* store.open(key)
  if (artifact !== undefined) return yield* openDataset([artifact])
  return yield* new DataError({ code: "NoArtifact", file: key, detail: "run the pipeline again to make it" })
})

const idsOf = Effect.fnUntraced(function* (dataset: StoredDataset) {
  const ids: Array<string> = []
  for (const index of dataset.shardRows.keys()) {
    const batch = yield* dataset.shard(index)
    const bytes = rowIdsOf(batch)
    for (let row = 0; row < batch.numRows; row++) ids.push(rowIdHex(bytes, row))
  }
  return ids
})

/** For every row that all parts have, in the order of the first: its index in each of them. */
const align = Effect.fnUntraced(function* (datasets: ReadonlyArray<StoredDataset>) {
  const [first, ...others] = datasets
  if (others.length === 0) return [Array.from({ length: first!.numRows }, (_, row) => row)]
  const ids = yield* idsOf(first!)
  const places = [new Map(ids.map((id, row) => [id, row]))]
  for (const dataset of others) places.push(new Map((yield* idsOf(dataset)).map((id, row) => [id, row])))
  const shared = ids.filter((id) => places.every((place) => place.has(id)))
  return places.map((place) => shared.map((id) => place.get(id)!))
})

interface ShardTable {
  readonly numRows: number
  readonly rows: (rows: ReadonlyArray<number>) => Effect.Effect<Batch, DataError>
}

const openShardTable = Effect.fnUntraced(function* (
  parts: ReadonlyArray<RowsPart>,
  shard: number,
  columns: ReadonlyArray<string>
) {
  const datasets = yield* Effect.forEach(parts, ({ shards }) => openShard(shards[shard]!.key))
  const places = yield* align(datasets)
  const rows = Effect.fnUntraced(function* (picked: ReadonlyArray<number>) {
    const batches = yield* Effect.forEach(datasets, (dataset, part) =>
      dataset.rows(Int32Array.from(picked, (row) => places[part]![row]!))
    )
    const named = columns.map((column) => {
      const part = parts.findIndex(({ shards }) => column in shards[shard]!.names)
      return [column, columnOf(batches[part]!, parts[part]!.shards[shard]!.names[column]!)]
    })
    return makeBatch({ row_id: columnOf(batches[0]!, "row_id"), ...Object.fromEntries(named) })
  })
  const table: ShardTable = { numRows: places[0]!.length, rows }
  return table
})

/** Opens some columns of a row set of a run record, named as the record names them; with none there are the row ids. */
export const openStoredRows = Effect.fnUntraced(function* (stored: StoredRows, columns: ReadonlyArray<string>) {
  const unknown = columns.find((column) => stored.columns[column] === undefined)
  if (unknown !== undefined) {
    const file = `${stored.node}.${stored.port}`
    const got = Object.keys(stored.columns).join(", ") || "no columns"
    return yield* new DataError({ code: "BadColumn", file, detail: `no stored column ${unknown}`, got })
  }
  const [own, ...others] = (stored as IndexedRows).parts
  const needed = others.filter(({ shards }) => columns.some((column) => column in (shards[0]?.names ?? {})))
  const parts = [own!, ...needed]
  const tables = yield* Effect.forEach(stored.keys, (_, shard) => openShardTable(parts, shard, columns))
  const starts = tables.map((_, shard) => tables.slice(0, shard).reduce((sum, { numRows }) => sum + numRows, 0))
  const numRows = tables.reduce((sum, table) => sum + table.numRows, 0)

  const rows = Effect.fnUntraced(function* (
    indices: Int32Array = Int32Array.from({ length: numRows }, (_, row) => row)
  ) {
    const owners = Array.from(indices, (row) =>
      starts.findLastIndex((start, shard) => start <= row && tables[shard]!.numRows > 0)
    )
    const used = [...new Set(owners)].sort((a, b) => a - b)
    const batches = yield* Effect.forEach(used, (shard) =>
      tables[shard]!.rows(Array.from(indices).flatMap((row, i) => (owners[i] === shard ? [row - starts[shard]!] : [])))
    )
    return inOrder(batches, used, owners)
  })
  const table: StoredTable = { numRows, rows }
  return table
})

/** Rows were read shard by shard; puts them back in the order asked for. */
const inOrder = (batches: ReadonlyArray<Batch>, used: ReadonlyArray<number>, owners: ReadonlyArray<number>): Batch => {
  const next = new Map(used.map((shard) => [shard, 0]))
  const which = Int32Array.from(owners, (owner) => used.indexOf(owner))
  const rows = Int32Array.from(owners, (owner) => {
    const row = next.get(owner)!
    next.set(owner, row + 1)
    return row
  })
  return batches.length === 0 ? makeBatch({}) : gatherRows(batches, which, rows)
}
