/**
 * Recorder: the run record's numbers as they grow. Counts come from committed artifacts, so a run that is continued, cached or
 * done in one go ends with the same ones; only seconds and `cached` tell them apart.
 */
import { keyOf } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { Metrics, NodeRecord, PlanNode, RunRecord, StoredArtifact, StoredRows } from "@bootlace/graph"
import { Clock, Effect, PubSub } from "effect"
import type { Keys, ShardRef } from "./Keys.ts"
import { rowSetOf, storedColumns } from "./Layout.ts"
import type { Layout, RowSetLayout } from "./Layout.ts"
import type { ProgressEvent } from "./Progress.ts"
import { countsOf } from "./TaskOutput.ts"

type Artifacts = Readonly<Record<string, CommittedArtifact>>

interface Tally {
  seconds: number
  cached: boolean
  /** Rows or steps gone through in this run, committed or not. */
  advanced: number
  /** Of a chain's node, by shard. */
  readonly tasks: Map<string, Artifacts>
  /** Of a fold or train. */
  artifact: CommittedArtifact | undefined
}

type Told = Pick<ProgressEvent, "done" | "message"> & Partial<Pick<ProgressEvent, "total" | "metrics">>

const shardId = (shard: ShardRef): string => `${shard.rowSet} ${shard.index}`
const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

export class Recorder {
  readonly #layout: Layout
  readonly #keys: Pick<Keys, "shards" | "parentShard">
  readonly #events: PubSub.PubSub<ProgressEvent>
  readonly #nodes: ReadonlyMap<string, Tally>

  /** `before`: the record of the same run as it was interrupted. */
  constructor(
    layout: Layout,
    keys: Pick<Keys, "shards" | "parentShard">,
    events: PubSub.PubSub<ProgressEvent>,
    before: RunRecord | undefined
  ) {
    this.#layout = layout
    this.#keys = keys
    this.#events = events
    this.#nodes = new Map(
      layout.plan.nodes.map(({ id }) => {
        const seconds = before?.nodes[id]?.seconds ?? 0
        return [id, { seconds, cached: true, advanced: 0, tasks: new Map(), artifact: undefined }]
      })
    )
  }

  /** Measures work on behalf of a node. */
  timed<A, E, R>(node: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const tally = this.#nodes.get(node)!
    return Effect.gen(function* () {
      const start = yield* Clock.monotonicTimeNanos
      const result = yield* work
      tally.seconds += Number((yield* Clock.monotonicTimeNanos) - start) / 1e9
      return result
    })
  }

  /** Rows or steps are through; nothing is committed yet. */
  advanced(node: string, count: number, told: Partial<Told> = {}): Effect.Effect<void> {
    const tally = this.#nodes.get(node)!
    tally.advanced += count
    return this.#tell(node, { done: tally.advanced, message: "running", ...told })
  }

  #tell(node: string, told: Told): Effect.Effect<void> {
    const { seconds, advanced } = this.#nodes.get(node)!
    return PubSub.publish(this.#events, { node, metrics: {}, ...told, seconds, rows: Math.max(told.done, advanced) })
  }

  /** A task over a shard is in the store. */
  task(node: PlanNode, shard: ShardRef, artifacts: Artifacts, isFresh: boolean): Effect.Effect<void> {
    const tally = this.#nodes.get(node.id)!
    tally.tasks.set(shardId(shard), artifacts)
    tally.cached &&= !isFresh
    return this.#tell(node.id, { done: this.#counts(node).rows_in, message: isFresh ? "done" : "cached" })
  }

  /** A fold or train is in the store. */
  artifact(node: PlanNode, artifact: CommittedArtifact, isFresh: boolean): Effect.Effect<void> {
    const tally = this.#nodes.get(node.id)!
    tally.artifact = artifact
    tally.cached &&= !isFresh
    const metrics = artifact.meta["metrics"] as Metrics
    return this.#tell(node.id, {
      done: artifact.meta["rows_in"] as number,
      message: isFresh ? "done" : "cached",
      metrics
    })
  }

  /** The tasks of a chain's node that are in the store, in the order of their shards. */
  #tasks(node: PlanNode): ReadonlyArray<Artifacts> {
    const { tasks } = this.#nodes.get(node.id)!
    const rowSet = node.operator.kind === "source" ? rowSetOf(node.id, Object.keys(node.ports)[0]!) : node.rowSet!
    return this.#keys.shards(rowSet).flatMap((shard) => {
      const task = tasks.get(shardId(shard))
      return task === undefined ? [] : [task]
    })
  }

  #counts(node: PlanNode): Pick<NodeRecord, "rows_in" | "rows_out" | "rejected" | "ports"> {
    const tasks = this.#tasks(node).map((artifacts) => Object.values(artifacts).map(countsOf))
    const rowsOf = (port: string) => sum(this.#tasks(node).map((artifacts) => countsOf(artifacts[port]!).rows))
    const ports = Object.fromEntries(Object.keys(node.ports).map((port) => [port, rowsOf(port)]))
    const rowsOut = tasks.map((counts) =>
      node.operator.kind === "source" ? counts[0]!.rows : sum(counts.map(({ rows }) => rows))
    )
    return {
      rows_in: sum(tasks.map(([first]) => first!.rows_in)),
      rows_out: sum(rowsOut),
      rejected: sum(tasks.map(([first]) => first!.rejected)),
      ports
    }
  }

  get nodes(): Readonly<Record<string, NodeRecord>> {
    return Object.fromEntries(this.#layout.plan.nodes.map((node) => [node.id, this.#record(node)]))
  }

  #record(node: PlanNode): NodeRecord {
    const { seconds, cached, artifact } = this.#nodes.get(node.id)!
    const op = node.operator.name
    if (node.operator.kind === "union") return this.#unionRecord(node)
    if (node.operator.kind === "fold" || node.operator.kind === "train") {
      const rows_in = (artifact?.meta["rows_in"] as number | undefined) ?? 0
      return { op, rows_in, rows_out: 0, rejected: 0, cached, seconds, artifact: artifact?.digest ?? "", ports: {} }
    }
    const digests = this.#tasks(node).flatMap((artifacts) => Object.values(artifacts).map(({ digest }) => digest))
    return { op, ...this.#counts(node), cached, seconds, artifact: digests.length === 1 ? digests[0]! : keyOf(digests) }
  }

  /** A union computes nothing: its rows are those of its members. */
  #unionRecord(node: PlanNode): NodeRecord {
    const port = Object.keys(node.ports)[0]!
    const members = this.#layout.rowSet(rowSetOf(node.id, port)).members.map((id) => {
      const member = this.#layout.rowSet(id)
      const { ports, artifact } = this.#record(member.owner)
      return { rows: ports[member.port] ?? 0, artifact: `${artifact} ${member.port}` }
    })
    const rows = sum(members.map((member) => member.rows))
    const artifact = keyOf(members.map((member) => member.artifact))
    return {
      op: node.operator.name,
      rows_in: rows,
      rows_out: rows,
      rejected: 0,
      cached: true,
      seconds: 0,
      artifact,
      ports: { [port]: rows }
    }
  }

  get metrics(): Metrics {
    const entries = this.#layout.plan.nodes.flatMap(({ id }) => {
      const metrics = this.#nodes.get(id)!.artifact?.meta["metrics"] as Metrics | undefined
      return Object.entries(metrics ?? {}).map(([name, value]): [string, number] => [`${id}.${name}`, value])
    })
    return Object.fromEntries(entries)
  }

  get artifacts(): ReadonlyArray<StoredArtifact> {
    return this.#layout.plan.nodes.flatMap((node) => {
      const artifact = this.#nodes.get(node.id)!.artifact
      return Object.entries(node.artifacts).flatMap(([output, type]) =>
        artifact === undefined ? [] : [{ node: node.id, output, type, key: artifact.key }]
      )
    })
  }

  /** Row sets whose own tasks are all in the store, with the columns of the maps that are too (StoredRows reads them). */
  get rows(): ReadonlyArray<StoredRows> {
    return this.#layout.rowSets.flatMap((rowSet) => this.#storedRows(rowSet) ?? [])
  }

  #storedRows({ id, owner, port }: RowSetLayout): StoredRows | undefined {
    const shards = this.#keys.shards(id)
    const base = shards.flatMap((shard) => {
      const physical = this.#layout.rowSet(shard.rowSet)
      const tasks = this.#nodes.get(physical.owner.id)!.tasks.get(shardId(this.#keys.parentShard(shard)))
      return tasks === undefined ? [] : [tasks[physical.port]!.key]
    })
    if (base.length < shards.length) return undefined
    const types = owner.ports[port]!
    const members = new Set(shards.map((shard) => shard.rowSet))
    const shared = Object.keys(types).filter((column) =>
      [...members].every((member) => this.#layout.rowSet(member).stored.includes(column))
    )
    const columns = Object.fromEntries(shared.map((column) => [column, types[column]!]))
    const keys = [...base]
    for (const map of this.#layout.plan.nodes.filter((node) => node.operator.kind === "map" && node.rowSet === id)) {
      const stored = storedColumns(map)
      const tasks = this.#tasks(map)
      if (stored.length === 0 || tasks.length < shards.length) continue
      for (const column of stored) columns[`${map.id}.${column}`] = map.columns[column]!
      keys.push(...tasks.map((artifacts) => Object.values(artifacts)[0]!.key))
    }
    return { node: owner.id, port, keys, columns }
  }
}
