/**
 * Keys: what a task's result depends on, and nothing else. A task is one node over one shard, or a whole fold or train.
 *
 *   operator    name, version, config (what reads files has their content's hash instead of its `path`), node id where row
 *               ids or random numbers hang on it
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
  /** Of the files that a fold reads; undefined where it reads none. */
  readonly content: (node: string) => string | undefined
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

const remember = <A>(known: Map<string, A>, id: string, make: () => A): A => {
  const found = known.get(id)
  if (found !== undefined) return found
  const made = make()
  known.set(id, made)
  return made
}

const idOf = (node: PlanNode, shard: ShardRef): string => `${node.id} ${shard.rowSet} ${shard.index}`

export class Keys {
  readonly #layout: Layout
  readonly #known: Known
  readonly #numerics: string
  readonly #shards = new Map<RowSet, ReadonlyArray<ShardRef>>()
  readonly #lineages = new Map<string, string>()
  readonly #taskKeys = new Map<string, Readonly<Record<string, string>>>()

  constructor(layout: Layout, known: Known, numerics: string) {
    this.#layout = layout
    this.#known = known
    this.#numerics = numerics
  }

  /** The shards of a row set, unions laid end to end. */
  shards(id: RowSet): ReadonlyArray<ShardRef> {
    return remember(this.#shards, id, () => {
      const { owner, members } = this.#layout.rowSet(id)
      if (owner.operator.kind === "union") return members.flatMap((member) => this.shards(member))
      const parents =
        owner.operator.kind === "source" ? this.#known.source(owner.id).shards : this.shards(owner.rowSet!)
      return parents.map((_, index) => ({ rowSet: id, index }))
    })
  }

  /** The shards over which a chain's node has tasks. */
  taskShards(node: PlanNode): ReadonlyArray<ShardRef> {
    return this.shards(node.operator.kind === "source" ? rowSetOf(node.id, portsOf(node)[0]!) : node.rowSet!)
  }

  /** The shard of the owner's own input that this one was made from; the shard itself for sources. */
  parentShard(shard: ShardRef): ShardRef {
    const { owner } = this.#layout.rowSet(shard.rowSet)
    return owner.operator.kind === "source" ? shard : this.shards(owner.rowSet!)[shard.index]!
  }

  /** What names a shard for people: the key of the source's shard that its rows come from. */
  shardName(shard: ShardRef): string {
    const { owner } = this.#layout.rowSet(shard.rowSet)
    return owner.operator.kind === "source"
      ? this.#known.source(owner.id).shards[shard.index]!.key
      : this.shardName(this.parentShard(shard))
  }

  /** Of the artifacts that a chain's node commits over a shard, by port, the first one first. */
  taskKeys(node: PlanNode, shard: ShardRef): Readonly<Record<string, string>> {
    return remember(this.#taskKeys, idOf(node, shard), () =>
      Object.fromEntries(portsOf(node).map((port) => [port, keyOf(this.#taskParts(node, shard, port))]))
    )
  }

  /** Of the files that a fold reads, as its key has it. */
  contentOf(node: PlanNode): string | undefined {
    return this.#known.content(node.id)
  }

  /** Of a fold or train. */
  wholeKey(node: PlanNode): string {
    return keyOf(this.nodeParts(node))
  }

  /** What the node's key is made of: of its first shard where it has several. */
  nodeParts(node: PlanNode): KeyParts {
    if (node.operator.kind === "fold" || node.operator.kind === "train") return this.#wholeParts(node)
    const [first] = this.taskShards(node)
    return first === undefined ? this.#operatorParts(node) : this.#taskParts(node, first, portsOf(node)[0]!)
  }

  #operatorParts(node: PlanNode): KeyParts {
    const { operator, config, encodedConfig, inputs } = node
    const size = "body" in operator && "batchSize" in operator.body ? operator.body.batchSize?.(config) : undefined
    const artifacts = Object.entries(inputs).flatMap(([input, wires]) => {
      const from = wires.filter((wire) => wire._tag === "Artifact")
      return from.length === 0 ? [] : [[input, from.map((wire) => this.#known.artifact(wire.node).digest)]]
    })
    const content = operator.kind === "source" ? this.#known.source(node.id).content : this.#known.content(node.id)
    return {
      format,
      operator: operator.name,
      version: operator.version,
      ...(content === undefined ? {} : { content }),
      config: content === undefined ? encodedConfig : withoutPath(encodedConfig),
      ...(operator.random === true ? { seed: this.#layout.plan.seed } : {}),
      ...(operator.random === true || operator.kind === "expand" ? { node: node.id } : {}),
      ...(operator.tensor === true ? { numerics: this.#numerics, batch_size: size ?? null } : {}),
      artifacts: Object.fromEntries(artifacts)
    }
  }

  /** What the rows of a node's task over a shard depend on. */
  #lineageParts(node: PlanNode, shard: ShardRef): KeyParts {
    if (node.operator.kind === "source") return { ...this.#operatorParts(node), shard: this.shardName(shard) }
    const inputs = Object.entries(node.inputs).flatMap(([input, [wire]]) =>
      wire?._tag === "Column" ? [[input, this.#wireColumn(wire, shard)]] : []
    )
    return { ...this.#operatorParts(node), inputs: Object.fromEntries(inputs) }
  }

  #lineage(node: PlanNode, shard: ShardRef): string {
    return remember(this.#lineages, idOf(node, shard), () => keyOf(this.#lineageParts(node, shard)))
  }

  /** Lineage of a wired column in one shard of its row set. */
  #wireColumn(wire: Wire, shard: ShardRef): string {
    const { map, column } = this.#layout.origin(wire)
    return map === undefined ? this.#baseColumn(shard, column) : keyOf([this.#lineage(map, shard), column])
  }

  /** Lineage of a column that the row set itself has. */
  #baseColumn(shard: ShardRef, column: string): string {
    const { owner, port } = this.#layout.rowSet(shard.rowSet)
    const parent = this.parentShard(shard)
    return keyOf([this.#lineage(owner, parent), port, this.#origin(owner, column, parent)])
  }

  /** What a column of a port or map was before: the lineage of what was wired in, or its own name where the node made it. */
  #origin(owner: PlanNode, column: string, shard: ShardRef): string {
    const wire = owner.inputs[column]?.[0]
    return wire === undefined || owner.operator.kind === "map" ? column : this.#wireColumn(wire, shard)
  }

  #taskParts(node: PlanNode, shard: ShardRef, port: string): KeyParts {
    const columns = columnsToStore(this.#layout, node, port)
    const stored = Object.fromEntries(columns.map((column) => [column, this.#origin(node, column, shard)]))
    return { ...this.#lineageParts(node, shard), port, stored }
  }

  /** A fold or train: every column of every wire in every shard. */
  #wholeParts(node: PlanNode): KeyParts {
    const rows = Object.entries(node.inputs).map(([input, wires]) => [
      input,
      wires.flatMap((wire) => this.#wireLineage(node, input, wire))
    ])
    const parts = { ...this.#operatorParts(node), inputs: Object.fromEntries(rows) }
    if (node.training === undefined) return parts
    const graph = node.training.nodes.map(({ id, operator, encodedConfig, inputs }) => ({
      node: id,
      operator: operator.name,
      version: operator.version,
      config: encodedConfig,
      inputs
    }))
    return { ...parts, training: { graph, minimize: node.training.minimize } }
  }

  #wireLineage(node: PlanNode, input: string, wire: Wire): ReadonlyArray<KeyParts> {
    if (wire._tag === "Artifact") return []
    if (wire._tag === "Column") {
      const shards = this.shards(this.#layout.origin(wire).rowSet)
      return shards.map((shard) => ({ [input]: this.#wireColumn(wire, shard) }))
    }
    const columns = this.#layout.streamColumns(node, input, wire)
    return this.shards(rowSetOf(wire.node, wire.port)).map((shard) =>
      Object.fromEntries(columns.map((column) => [column, this.#baseColumn(shard, column)]))
    )
  }
}

/** The port under which a map commits its columns. */
export const mapPort = "columns"

/** The ports for which a task of this node commits artifacts. */
export const portsOf = (node: PlanNode): ReadonlyArray<string> =>
  node.operator.kind === "map" ? [mapPort] : Object.keys(node.ports)

export const columnsToStore = (layout: Layout, node: PlanNode, port: string): ReadonlyArray<string> =>
  node.operator.kind === "map" ? storedColumns(node) : layout.rowSet(rowSetOf(node.id, port)).stored
