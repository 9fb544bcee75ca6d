/**
 * Row index: where the columns of each row set are in the store, for whoever reads a run afterwards (StoredRows). A column is
 * in the artifacts of its owner's tasks, in those of a map, or, where a route only passed it on and nobody read it there, in
 * those of the row set that it came from: row ids join them.
 */
import type { ColumnType, PlanNode, StoredRows } from "@bootlace/graph"
import type { CommittedArtifact } from "@bootlace/data"
import type { Keys, ShardRef } from "./Keys.ts"
import { mapPort } from "./Keys.ts"
import { storedColumns } from "./Layout.ts"
import type { Layout, RowSetLayout } from "./Layout.ts"

/** Columns that are found together: per shard a key, and the columns' names in its files. */
export interface RowsPart {
  readonly shards: ReadonlyArray<{ readonly key: string; readonly names: Readonly<Record<string, string>> }>
}

/** `keys` and the columns as every reader knows them, and where exactly each column is. The first part has every row. */
export interface IndexedRows extends StoredRows {
  readonly parts: ReadonlyArray<RowsPart>
}

/** The artifacts of a task by port, if it is in the store. */
export type TaskArtifacts = (node: PlanNode, shard: ShardRef) => Readonly<Record<string, CommittedArtifact>> | undefined

interface Place {
  readonly key: string
  readonly name: string
}

interface Found {
  readonly column: string
  readonly type: ColumnType
  /** By shard. */
  readonly places: ReadonlyArray<Place>
}

class RowIndex {
  readonly #layout: Layout
  readonly #keys: Keys
  readonly #tasks: TaskArtifacts

  constructor(layout: Layout, keys: Keys, tasks: TaskArtifacts) {
    this.#layout = layout
    this.#keys = keys
    this.#tasks = tasks
  }

  /** Undefined until all tasks of the row set's owner are in the store. */
  of({ id, owner, port }: RowSetLayout): IndexedRows | undefined {
    const shards = this.#keys.shards(id)
    const keys = shards.flatMap((shard) => this.#ownerKey(shard) ?? [])
    if (keys.length < shards.length) return undefined
    const own = Object.entries(owner.ports[port]!).flatMap(
      ([column, type]) => find(column, type, shards, (shard) => this.#ofBase(column, shard)) ?? []
    )
    const ofMaps = this.#layout.plan.nodes.flatMap((map) =>
      map.operator.kind === "map" && map.rowSet === id ? this.#findMap(map, shards) : []
    )
    const found = [...own, ...ofMaps]
    const columns = Object.fromEntries(found.map(({ column, type }) => [column, type]))
    return { node: owner.id, port, keys, columns, parts: partsOf(keys, found) }
  }

  #findMap(map: PlanNode, shards: ReadonlyArray<ShardRef>): ReadonlyArray<Found> {
    return storedColumns(map).flatMap((column) => {
      const type = map.columns[column]!
      return find(`${map.id}.${column}`, type, shards, (shard) => this.#ofMap(map, column, shard)) ?? []
    })
  }

  #ownerKey(shard: ShardRef): string | undefined {
    const { owner, port } = this.#layout.rowSet(shard.rowSet)
    return this.#tasks(owner, this.#keys.parentShard(shard))?.[port]?.key
  }

  #ofMap(map: PlanNode, column: string, shard: ShardRef): Place | undefined {
    const key = storedColumns(map).includes(column) ? this.#tasks(map, shard)?.[mapPort]?.key : undefined
    return key === undefined ? undefined : { key, name: column }
  }

  #ofBase(column: string, shard: ShardRef): Place | undefined {
    const { owner, stored } = this.#layout.rowSet(shard.rowSet)
    const key = this.#ownerKey(shard)
    if (key === undefined) return undefined
    if (stored.includes(column)) return { key, name: column }
    const wire = owner.operator.kind === "route" ? owner.inputs[column]?.[0] : undefined
    if (wire === undefined) return undefined
    const origin = this.#layout.origin(wire)
    const parent = this.#keys.parentShard(shard)
    return origin.map === undefined
      ? this.#ofBase(origin.column, parent)
      : this.#ofMap(origin.map, origin.column, parent)
  }
}

const find = (
  column: string,
  type: ColumnType,
  shards: ReadonlyArray<ShardRef>,
  placeIn: (shard: ShardRef) => Place | undefined
): Found | undefined => {
  const places = shards.flatMap((shard) => placeIn(shard) ?? [])
  return places.length < shards.length ? undefined : { column, type, places }
}

/** Columns with the same keys in all shards share a part; the row set's own keys come first. */
const partsOf = (own: ReadonlyArray<string>, found: ReadonlyArray<Found>): ReadonlyArray<RowsPart> => {
  const groups = Map.groupBy(found, ({ places }) => places.map(({ key }) => key).join())
  const partOf = (keys: ReadonlyArray<string>, columns: ReadonlyArray<Found>): RowsPart => ({
    shards: keys.map((key, shard) => ({
      key,
      names: Object.fromEntries(columns.map(({ column, places }) => [column, places[shard]!.name]))
    }))
  })
  const others = [...groups].filter(([keys]) => keys !== own.join())
  return [
    partOf(own, groups.get(own.join()) ?? []),
    ...others.map(([keys, columns]) => partOf(keys.split(","), columns))
  ]
}

export const indexRows = (layout: Layout, keys: Keys, tasks: TaskArtifacts): ReadonlyArray<IndexedRows> => {
  const index = new RowIndex(layout, keys, tasks)
  return layout.rowSets.flatMap((rowSet) => index.of(rowSet) ?? [])
}
