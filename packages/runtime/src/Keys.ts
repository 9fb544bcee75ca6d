/**
 * Keys: what a task's result depends on, and nothing else. A task is one node over one shard, or a whole fold or train.
 *
 *   operator    name, version, config (a source has its content's hash instead of its `path`), node id where row ids or
 *               random numbers hang on it
 *   inputs      per column the lineage of the task that makes it
 *   artifacts   digests of the artifacts wired in
 *   seed        where the operator is random;  numerics: where it runs tensors, with the size of its micro-batches
 *   stored      which columns a port's artifact holds: not part of the lineage, so that storing one more column upstream
 *               makes no difference to what comes after
 *
 * Paths, times, hosts, scheduling and batch sizes of sources are in no key.
 */
import { keyOf } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { PlanNode, RowSet, Source, Wire } from "@bootlace/graph"
import { rowSetOf, storedColumns } from "./Layout.ts"
import type { Layout } from "./Layout.ts"

/** A shard of a row set that is no union: shard `index` of what the owner's node reads, or of the source. */
export interface ShardRef {
  readonly rowSet: RowSet
  readonly index: number
}

/** JSON whose canonical sha256 is a key. */
export type KeyParts = Readonly<Record<string, unknown>>

export interface Known {
  readonly source: (node: string) => Source<unknown>
  /** The artifact of a fold or train that has run. */
  readonly artifact: (node: string) => CommittedArtifact
}

/** Raised when the runtime itself stores results differently. */
const format = 1

const withoutPath = (config: unknown): unknown => {
  if (typeof config !== "object" || config === null) return config
  const { path: _, ...rest } = config as Readonly<Record<string, unknown>>
  return rest
}

const memoized = <A>(make: (node: PlanNode, shard: ShardRef) => A) => {
  const known = new Map<string, A>()
  return (node: PlanNode, shard: ShardRef): A => {
    const id = `${node.id} ${shard.rowSet} ${shard.index}`
    const found = known.get(id)
    if (found !== undefined) return found
    const made = make(node, shard)
    known.set(id, made)
    return made
  }
}

export const makeKeys = (layout: Layout, known: Known, numerics: string) => {
  const { plan } = layout

  const listed = new Map<RowSet, ReadonlyArray<ShardRef>>()
  /** The shards of a row set, unions laid end to end. */
  const shards = (id: RowSet): ReadonlyArray<ShardRef> => {
    const known = listed.get(id) ?? listShards(id)
    listed.set(id, known)
    return known
  }
  const listShards = (id: RowSet): ReadonlyArray<ShardRef> => {
    const { owner, members } = layout.rowSet(id)
    if (owner.operator.kind === "union") return members.flatMap(shards)
    const count = owner.operator.kind === "source" ? known.source(owner.id).shards.length : shards(owner.rowSet!).length
    return Array.from({ length: count }, (_, index) => ({ rowSet: id, index }))
  }

  /** The shard of the owner's own input that this one was made from; the shard itself for sources. */
  const parentShard = (shard: ShardRef): ShardRef => {
    const { owner } = layout.rowSet(shard.rowSet)
    return owner.operator.kind === "source" ? shard : shards(owner.rowSet!)[shard.index]!
  }

  /** What names a shard for people: the key of the source's shard that its rows come from. */
  const shardName = (shard: ShardRef): string => {
    const { owner } = layout.rowSet(shard.rowSet)
    return owner.operator.kind === "source"
      ? known.source(owner.id).shards[shard.index]!.key
      : shardName(parentShard(shard))
  }

  const operatorParts = (node: PlanNode): KeyParts => {
    const { operator, config } = node
    const size = "body" in operator && "batchSize" in operator.body ? operator.body.batchSize?.(config) : undefined
    return {
      format,
      operator: operator.name,
      version: operator.version,
      ...(operator.kind === "source" ? { content: known.source(node.id).content } : {}),
      config: operator.kind === "source" ? withoutPath(node.encodedConfig) : node.encodedConfig,
      ...(operator.random === true ? { seed: plan.seed } : {}),
      ...(operator.random === true || operator.kind === "expand" ? { node: node.id } : {}),
      ...(operator.tensor === true ? { numerics, batch_size: size ?? null } : {}),
      artifacts: Object.fromEntries(
        Object.entries(node.inputs).flatMap(([input, wires]) => {
          const digests = wires.flatMap((wire) => (wire._tag === "Artifact" ? [known.artifact(wire.node).digest] : []))
          return digests.length === 0 ? [] : [[input, digests]]
        })
      )
    }
  }

  /** Lineage of a column that the row set itself has. */
  const baseColumn = (shard: ShardRef, column: string): string => {
    const { owner, port } = layout.rowSet(shard.rowSet)
    const parent = parentShard(shard)
    return keyOf([lineage(owner, parent), port, origin(owner, column, parent)])
  }

  /** Lineage of a wired column in one shard of its row set. */
  const wireColumn = (wire: Wire, shard: ShardRef): string => {
    const { map, column } = layout.origin(wire)
    return map === undefined ? baseColumn(shard, column) : keyOf([lineage(map, shard), column])
  }

  const lineageParts = memoized((node: PlanNode, shard: ShardRef): KeyParts => {
    const { operator } = node
    if (operator.kind === "source") return { ...operatorParts(node), shard: shardName(shard) }
    const inputs = Object.entries(node.inputs).flatMap(([input, [wire]]) =>
      wire?._tag === "Column" ? [[input, wireColumn(wire, shard)]] : []
    )
    return { ...operatorParts(node), inputs: Object.fromEntries(inputs) }
  })

  const lineage = memoized((node: PlanNode, shard: ShardRef): string => keyOf(lineageParts(node, shard)))

  /** What a port's artifact holds: `{ column: its lineage }`. */
  const portColumns = (node: PlanNode, port: string, shard: ShardRef): KeyParts => {
    const columns = columnsToStore(layout, node, port)
    return Object.fromEntries(columns.map((column) => [column, origin(node, column, shard)]))
  }
  const origin = (owner: PlanNode, column: string, shard: ShardRef): string => {
    const wire = owner.inputs[column]?.[0]
    return wire === undefined || owner.operator.kind === "map" ? column : wireColumn(wire, shard)
  }

  /** Of the artifact that a task over a shard commits for one of its ports. */
  const taskParts = (node: PlanNode, shard: ShardRef, port: string): KeyParts => ({
    ...lineageParts(node, shard),
    port,
    stored: portColumns(node, port, shard)
  })

  /** A fold or train: every column of every wire in every shard. */
  const wholeParts = (node: PlanNode): KeyParts => {
    const rows = Object.entries(node.inputs).map(([input, wires]) => [
      input,
      wires.flatMap((wire) => wireLineage(node, input, wire))
    ])
    const training = node.training && {
      graph: node.training.nodes.map(({ id, operator, encodedConfig, inputs }) => ({
        node: id,
        operator: operator.name,
        version: operator.version,
        config: encodedConfig,
        inputs
      })),
      minimize: node.training.minimize
    }
    return { ...operatorParts(node), inputs: Object.fromEntries(rows), ...(training === undefined ? {} : { training }) }
  }
  const wireLineage = (node: PlanNode, input: string, wire: Wire): ReadonlyArray<KeyParts> => {
    if (wire._tag === "Artifact") return []
    if (wire._tag === "Column") {
      return shards(layout.origin(wire).rowSet).map((shard) => ({ [input]: wireColumn(wire, shard) }))
    }
    const columns = layout.streamColumns(node, input, wire)
    return shards(rowSetOf(wire.node, wire.port)).map((shard) =>
      Object.fromEntries(columns.map((column) => [column, baseColumn(shard, column)]))
    )
  }

  /** By port, the first one first. */
  const taskKeys = memoized((node: PlanNode, shard: ShardRef): Readonly<Record<string, string>> =>
    Object.fromEntries(portsOf(node).map((port) => [port, keyOf(taskParts(node, shard, port))]))
  )

  /** The shards over which a chain's node has tasks. */
  const taskShards = (node: PlanNode): ReadonlyArray<ShardRef> =>
    shards(node.operator.kind === "source" ? rowSetOf(node.id, portsOf(node)[0]!) : node.rowSet!)

  /** What the node's key is made of, for people: of its first shard where it has several. */
  const nodeParts = (node: PlanNode): KeyParts => {
    if (node.operator.kind === "fold" || node.operator.kind === "train") return wholeParts(node)
    const [first] = taskShards(node)
    return first === undefined ? operatorParts(node) : taskParts(node, first, portsOf(node)[0]!)
  }

  return { shards, taskShards, parentShard, shardName, taskKeys, wholeParts, nodeParts }
}
export type Keys = ReturnType<typeof makeKeys>

/** The port under which a map commits its columns. */
export const mapPort = "columns"

/** The ports for which a task of this node commits artifacts. */
export const portsOf = (node: PlanNode): ReadonlyArray<string> =>
  node.operator.kind === "map" ? [mapPort] : Object.keys(node.ports)

export const columnsToStore = (layout: Layout, node: PlanNode, port: string): ReadonlyArray<string> =>
  node.operator.kind === "map" ? storedColumns(node) : layout.rowSet(rowSetOf(node.id, port)).stored
