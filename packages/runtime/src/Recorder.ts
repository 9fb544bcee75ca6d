/**
 * Recorder: the run record's numbers as they grow. Counts come from committed artifacts, so a run that is continued, cached or
 * done in one go ends with the same ones; only seconds and `cached` tell them apart.
 */
import { keyOf } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { Metrics, NodeRecord, PlanNode, RunRecord, Span, StoredArtifact } from "@bootlace/graph"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import type { Keys, ShardRef } from "./Keys.ts"
import { rowSetOf } from "./Layout.ts"
import type { Layout } from "./Layout.ts"
import type { ProgressEvent } from "./Progress.ts"
import { indexRows } from "./RowIndex.ts"
import type { IndexedRows } from "./RowIndex.ts"
import { countsOf } from "./TaskOutput.ts"

type Artifacts = Readonly<Record<string, CommittedArtifact>>

interface Tally {
  seconds: number
  cached: boolean
  started: boolean
  ended: boolean
  /** Rows or steps gone through in this run, committed or not. */
  advanced: number
  total: number | undefined
  /** Of a chain's node, by shard. */
  readonly tasks: Map<string, Artifacts>
  /** Of a fold or train. */
  artifact: CommittedArtifact | undefined
}

const shardId = (shard: ShardRef): string => `${shard.rowSet} ${shard.index}`
const sum = (numbers: ReadonlyArray<number>): number => numbers.reduce((total, number) => total + number, 0)

export class Recorder {
  readonly #layout: Layout
  readonly #keys: Keys
  readonly #events: PubSub.PubSub<ProgressEvent>
  readonly #nodes: ReadonlyMap<string, Tally>
  readonly #spans: ((span: Span) => void) | undefined

  /** `before`: the record of the same run as it was interrupted. `spans`: who is told of what is timed. */
  constructor(
    layout: Layout,
    keys: Keys,
    events: PubSub.PubSub<ProgressEvent>,
    before: RunRecord | undefined,
    spans?: (span: Span) => void
  ) {
    this.#spans = spans
    this.#layout = layout
    this.#keys = keys
    this.#events = events
    this.#nodes = new Map(
      layout.plan.nodes.map(({ id }) => {
        const seconds = before?.nodes[id]?.seconds ?? 0
        return [
          id,
          {
            seconds,
            cached: true,
            started: false,
            ended: false,
            advanced: 0,
            total: undefined,
            tasks: new Map(),
            artifact: undefined
          }
        ]
      })
    )
  }

  /** Measures work on behalf of a node. */
  timed<A, E, R>(node: string, work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    const tally = this.#nodes.get(node)!
    const tell = this.#spans
    return Clock.clockWith((clock) => {
      const start = clock.monotonicTimeNanosUnsafe()
      return Effect.map(work, (result) => {
        const end = clock.monotonicTimeNanosUnsafe()
        tally.seconds += Number(end - start) / 1e9
        tell?.({ node, stage: "node", what: node, start, end })
        return result
      })
    })
  }

  /** How many rows or steps are to come. */
  expect(node: string, total: number | undefined): void {
    this.#nodes.get(node)!.total = total
  }

  /** Rows of a shard, once its owner's task is in the store. */
  rowsOf(rowSet: string, index: number): number | undefined {
    const { owner, port } = this.#layout.rowSet(rowSet)
    const task = this.#nodes.get(owner.id)!.tasks.get(shardId(this.#keys.parentShard({ rowSet, index })))
    return task === undefined ? undefined : countsOf(task[port]!).rows
  }

  /** Rows or steps are through; nothing is committed yet. The first call says that the node has started. */
  advanced(node: string, count: number, metrics: Metrics = {}): Effect.Effect<void> {
    const tally = this.#nodes.get(node)!
    const message = tally.started ? "running" : "started"
    tally.started = true
    tally.advanced += count
    return this.#tell(node, message, metrics)
  }

  #tell(node: string, message: ProgressEvent["message"], metrics: Metrics = {}): Effect.Effect<void> {
    const { seconds, advanced, total } = this.#nodes.get(node)!
    const event = { node, message, metrics, seconds, done: advanced }
    return PubSub.publish(this.#events, total === undefined ? event : { ...event, total })
  }

  /** A task over a shard is in the store. */
  task(node: PlanNode, shard: ShardRef, artifacts: Artifacts, isFresh: boolean): void {
    const tally = this.#nodes.get(node.id)!
    tally.tasks.set(shardId(shard), artifacts)
    tally.cached &&= !isFresh
  }

  /** Every task of a chain's node is in the store. */
  ended(node: PlanNode): Effect.Effect<void> {
    const tally = this.#nodes.get(node.id)!
    tally.ended = true
    tally.advanced = this.#counts(node).rows_in
    return this.#tell(node.id, tally.cached ? "cached" : "finished")
  }

  /** A fold or train is in the store. */
  artifact(node: PlanNode, artifact: CommittedArtifact, isFresh: boolean): Effect.Effect<void> {
    const tally = this.#nodes.get(node.id)!
    tally.artifact = artifact
    tally.ended = true
    tally.cached &&= !isFresh
    return this.#tell(node.id, isFresh ? "finished" : "cached", artifact.meta["metrics"] as Metrics)
  }

  /** The tasks of a chain's node that are in the store, in the order of their shards. */
  tasksOf(node: PlanNode): ReadonlyArray<Artifacts> {
    const { tasks } = this.#nodes.get(node.id)!
    return this.#keys.taskShards(node).flatMap((shard) => {
      const task = tasks.get(shardId(shard))
      return task === undefined ? [] : [task]
    })
  }

  #counts(node: PlanNode): Pick<NodeRecord, "rows_in" | "rows_out" | "rejected" | "ports"> {
    const tasks = this.tasksOf(node).map((artifacts) => Object.values(artifacts).map(countsOf))
    const rowsOf = (port: string) => sum(this.tasksOf(node).map((artifacts) => countsOf(artifacts[port]!).rows))
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

  /** A node whose turn hasn't come has no artifact and isn't cached. */
  #record(node: PlanNode): NodeRecord {
    if (node.operator.kind === "union") return this.#unionRecord(node)
    const { seconds, ended, artifact, ...tally } = this.#nodes.get(node.id)!
    const op = node.operator.name
    const cached = ended && tally.cached
    if (node.operator.kind === "fold" || node.operator.kind === "train") {
      const rows_in = (artifact?.meta["rows_in"] as number | undefined) ?? 0
      return { op, rows_in, rows_out: 0, rejected: 0, cached, seconds, artifact: artifact?.digest ?? "", ports: {} }
    }
    const digests = this.tasksOf(node).flatMap((artifacts) => Object.values(artifacts).map(({ digest }) => digest))
    const digest = digests.length === 1 ? digests[0]! : ended ? keyOf(digests) : ""
    return { op, ...this.#counts(node), cached, seconds, artifact: digest }
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

  /** Row sets whose own tasks are all in the store, with the columns of the maps that are too. */
  get rows(): ReadonlyArray<IndexedRows> {
    return indexRows(this.#layout, this.#keys, (node, shard) => this.#nodes.get(node.id)!.tasks.get(shardId(shard)))
  }

  /** Keys of everything that this run made or found. */
  keysOf(node: string): ReadonlyArray<string> {
    const { tasks, artifact } = this.#nodes.get(node)!
    const ofTasks = [...tasks.values()].flatMap((artifacts) => Object.values(artifacts).map(({ key }) => key))
    return artifact === undefined ? ofTasks : [...ofTasks, artifact.key]
  }
}
