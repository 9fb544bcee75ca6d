/**
 * Row index: where the columns of each row set are in the store, for whoever reads a run afterwards (StoredRows). A column is
 * in the artifacts of its owner's tasks, in those of a map, or, where a route only passed it on and nobody read it there, in
 * those of the row set that it came from: row ids join them.
 */
import type { ColumnType, PlanNode, StoredRows, Wire } from "@bootlace/graph"
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

export const indexRows = (
  layout: Layout,
  { shards, parentShard }: Pick<Keys, "shards" | "parentShard">,
  tasks: TaskArtifacts
): ReadonlyArray<IndexedRows> => {
  const ownerKey = (shard: ShardRef): string | undefined => {
    const { owner, port } = layout.rowSet(shard.rowSet)
    return tasks(owner, parentShard(shard))?.[port]?.key
  }

  const wirePlace = (wire: Wire, shard: ShardRef): Place | undefined => {
    const { map, column } = layout.origin(wire)
    if (map === undefined) return basePlace(column, shard)
    const key = storedColumns(map).includes(column) ? tasks(map, shard)?.[mapPort]?.key : undefined
    return key === undefined ? undefined : { key, name: column }
  }

  const basePlace = (column: string, shard: ShardRef): Place | undefined => {
    const { owner, stored } = layout.rowSet(shard.rowSet)
    const key = ownerKey(shard)
    if (key === undefined) return undefined
    if (stored.includes(column)) return { key, name: column }
    const wire = owner.operator.kind === "route" ? owner.inputs[column]?.[0] : undefined
    return wire === undefined ? undefined : wirePlace(wire, parentShard(shard))
  }

  const indexOne = ({ id, owner, port }: RowSetLayout): ReadonlyArray<IndexedRows> => {
    const refs = shards(id)
    const keys = refs.flatMap((shard) => ownerKey(shard) ?? [])
    if (keys.length < refs.length) return []
    const found: Array<{ readonly column: string; readonly type: ColumnType; readonly places: ReadonlyArray<Place> }> =
      []
    const look = (column: string, type: ColumnType, place: (shard: ShardRef) => Place | undefined): void => {
      const places = refs.flatMap((shard) => place(shard) ?? [])
      if (places.length === refs.length) found.push({ column, type, places })
    }
    for (const [column, type] of Object.entries(owner.ports[port]!))
      look(column, type, (shard) => basePlace(column, shard))
    for (const map of layout.plan.nodes) {
      if (map.operator.kind !== "map" || map.rowSet !== id) continue
      for (const column of storedColumns(map)) {
        const wire: Wire = { _tag: "Column", node: map.id, column, type: map.columns[column]! }
        look(`${map.id}.${column}`, wire.type, (shard) => wirePlace(wire, shard))
      }
    }
    const groups = Map.groupBy(found, ({ places }) => places.map(({ key }) => key).join())
    const own = keys.join()
    const partOf = (partKeys: ReadonlyArray<string>): RowsPart => ({
      shards: partKeys.map((key, i) => {
        const names = (groups.get(partKeys.join()) ?? []).map(({ column, places }) => [column, places[i]!.name])
        return { key, names: Object.fromEntries(names) }
      })
    })
    const others = [...groups.keys()].filter((group) => group !== own).map((group) => partOf(group.split(",")))
    const columns = Object.fromEntries(found.map(({ column, type }) => [column, type]))
    return [{ node: owner.id, port, keys, columns, parts: [partOf(keys), ...others] }]
  }

  return layout.rowSets.flatMap(indexOne)
}
