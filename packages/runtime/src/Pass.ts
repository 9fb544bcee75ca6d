/**
 * Pass: the nodes of a chain at work on one shard.
 *
 *   read (source or store)  ->  at most 2 batches wait  ->  nodes in order, each with its inbox  ->  task outputs
 *
 * Inside the pass nothing waits but the rows that an inbox regroups, so a diamond can't deadlock and a slow node holds the
 * reader back.
 */
import { waitsBetween } from "@bootlace/graph"
import type { NodeError, PlanNode } from "@bootlace/graph"
import { Effect, Stream } from "effect"
import type { Run } from "./Bodies.ts"
import type { Inbox, Rows } from "./Inbox.ts"
import { portsOf } from "./Keys.ts"
import type { ShardRef } from "./Keys.ts"
import type { Session } from "./Session.ts"
import { besideRows, sourceRows, storedRows } from "./ShardRows.ts"
import type { Arrival, Beside, Lane } from "./ShardRows.ts"
import type { Made } from "./Step.ts"
import type { TaskOutput } from "./TaskOutput.ts"
import { keepMade } from "./Tasks.ts"

/** A node at work. */
export interface Worker<R> {
  readonly node: PlanNode
  readonly lanes: ReadonlyArray<Lane>
  readonly inbox: Inbox
  readonly run: Run<R>
  /** Undefined where the node runs again only to feed others. */
  readonly output: TaskOutput | undefined
}

/** The source, where its own task is missing. */
export interface SourceTask {
  readonly node: PlanNode
  readonly output: TaskOutput
}

/** A lane of a worker's inbox. */
interface Target {
  readonly inbox: Inbox
  readonly number: number
}

const targetsOf = <R>(workers: ReadonlyArray<Worker<R>>, map: PlanNode | undefined): ReadonlyArray<Target> =>
  workers.flatMap(({ inbox, lanes }) => lanes.flatMap((lane, number) => (lane.map === map ? [{ inbox, number }] : [])))

const offer = (targets: ReadonlyArray<Target>, rows: ReadonlyArray<Rows>, reached: number): void => {
  for (const { inbox, number } of targets) {
    for (const some of rows) inbox.offer(number, some, 0)
    inbox.offer(number, undefined, reached)
  }
}

const takeGroups = (inbox: Inbox, most: number, last: boolean): ReadonlyArray<Rows> => {
  const groups: Array<Rows> = []
  while (groups.length < most) {
    const group = inbox.take(last)
    if (group === undefined) break
    groups.push(group)
  }
  return groups
}

/**
 * Lets the nodes do what they have rows for; at the end of the shard also what is less than a group. After every few groups of
 * a node those behind it have their turn, so that few rows of a streamed column exist at a time.
 */
const drain = <R>(
  session: Session,
  shard: string,
  workers: ReadonlyArray<Worker<R>>,
  last: boolean
): Effect.Effect<void, NodeError, R> =>
  Effect.gen(function* () {
    const [worker, ...behind] = workers
    if (worker === undefined) return
    const { node, inbox, run, output } = worker
    const { in_flight } = session.settings
    const targets = targetsOf(behind, node)
    for (;;) {
      const groups = takeGroups(inbox, in_flight, last)
      if (groups.length === 0) break
      const work = Effect.forEach(groups, (rows) => run({ node: node.id, shard }, rows), { concurrency: in_flight })
      for (const made of yield* session.recorder.timed(node.id, work)) {
        yield* keepMade(session, node, output, made)
        offer(targets, made.rows === undefined ? [] : [made.rows], 0)
      }
      offer(targets, [], inbox.waiting)
      yield* drain(session, shard, behind, false)
    }
    offer(targets, [], last ? Infinity : inbox.waiting)
    yield* drain(session, shard, behind, last)
  })

/** Columns of maps that don't run in this pass, and who reads them. */
const storedLanes = Effect.fnUntraced(function* <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>
) {
  const running = new Set(workers.map(({ node }) => node))
  const read = workers.flatMap(({ lanes }) => lanes.flatMap(({ map }) => (map && !running.has(map) ? [map] : [])))
  const lanes: Array<{ readonly beside: Beside; readonly targets: ReadonlyArray<Target> }> = []
  for (const map of new Set(read)) {
    lanes.push({ beside: yield* besideRows(session, map, shard), targets: targetsOf(workers, map) })
  }
  return lanes
})

const fromSource = <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>,
  isMissing: boolean
): boolean => {
  const { owner, stored } = session.layout.rowSet(shard.rowSet)
  if (owner.operator.kind !== "source" || isMissing) return isMissing
  const needed = workers.flatMap(({ lanes }) =>
    lanes.flatMap(({ map, columns }) => (map ? [] : Object.values(columns)))
  )
  return needed.some((column) => !stored.includes(column))
}

const sourceMade = (node: PlanNode, { batch, rejected }: Arrival): Made => ({
  rowsIn: batch.numRows + rejected.length,
  ports: portsOf(node).map((port) => ({ port, batch, ledger: [] })),
  rejected
})

/** Reads the shard once and drives every worker over it. */
export const runPass = Effect.fnUntraced(function* <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>,
  source: SourceTask | undefined
) {
  const base = targetsOf(workers, undefined)
  const stored = yield* storedLanes(session, shard, workers)
  const name = session.keys.shardName(shard)
  let position = 0
  const feed = Effect.fnUntraced(function* (arrival: Arrival) {
    if (source !== undefined) yield* keepMade(session, source.node, source.output, sourceMade(source.node, arrival))
    const start = position
    position += arrival.batch.numRows
    const rows = { batch: arrival.batch, positions: new Int32Array(arrival.batch.numRows).map((_, row) => start + row) }
    offer(base, [rows], position)
    for (const { beside, targets } of stored) offer(targets, yield* beside.among(rows), position)
    yield* drain(session, name, workers, false)
  })
  const arrivals: Stream.Stream<Arrival, NodeError, R> = fromSource(session, shard, workers, source !== undefined)
    ? sourceRows<R>(session, shard)
    : storedRows(session, shard)
  const { owner } = session.layout.rowSet(shard.rowSet)
  const behind = workers.map(({ node }) => node.id).join(", ") || "store"
  const afterWaiting = yield* waitsBetween(owner.id, `${owner.id} -> ${behind}`)
  yield* arrivals.pipe(
    Stream.buffer({ capacity: 2 }),
    Stream.runForEach((arrival) => afterWaiting(feed(arrival)))
  )
  for (const targets of [base, ...stored.map((lane) => lane.targets)]) offer(targets, [], Infinity)
  yield* drain(session, name, workers, true)
})
