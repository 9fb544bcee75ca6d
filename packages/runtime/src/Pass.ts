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
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import type { Run } from "./Bodies.ts"
import { countFrom } from "./Inbox.ts"
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

/** A lane of the inbox of worker number `at`. */
interface Target {
  readonly at: number
  readonly inbox: Inbox
  readonly number: number
}

const targetsOf = <R>(workers: ReadonlyArray<Worker<R>>, map: PlanNode | undefined): ReadonlyArray<Target> =>
  workers.flatMap(({ inbox, lanes }, at) =>
    lanes.flatMap((lane, number) => (lane.map === map ? [{ at, inbox, number }] : []))
  )

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

/** A call that has begun, and the position of its first row. */
interface Begun {
  readonly from: number
  readonly fiber: Fiber.Fiber<Made, NodeError>
}

/** The workers of a pass, and who reads what each of them makes. */
interface Line<R> {
  readonly session: Session
  readonly shard: string
  readonly workers: ReadonlyArray<Worker<R>>
  readonly targets: ReadonlyArray<ReadonlyArray<Target>>
  /** Of each worker, the oldest first. */
  readonly begun: ReadonlyArray<Array<Begun>>
  readonly scope: Scope.Scope
}

/** A node's work on some groups, one after the other; gives its rows for the nodes after it. */
const work = Effect.fnUntraced(function* <R>(
  { session, shard }: Line<R>,
  { node, run, output }: Worker<R>,
  groups: ReadonlyArray<Rows>
) {
  const where = { node: node.id, shard }
  const calls =
    groups.length === 1
      ? Effect.map(run(where, groups[0]!), (made) => [made])
      : Effect.forEach(groups, (rows) => run(where, rows), { concurrency: groups.length })
  const all = yield* session.recorder.timed(node.id, calls)
  if (output !== undefined) for (const made of all) yield* keepMade(session, node, output, made)
  return all.flatMap(({ rows }) => (rows === undefined ? [] : [rows]))
})

/**
 * The same for a node that takes groups of a size, which prepares rows and computes: its next call begins before one is done, and goes on
 * while the nodes after it work and the next rows are read. Gives the rows of the oldest call, once as many are under way as may be.
 */
const workAhead = Effect.fnUntraced(function* <R>(
  { session, shard, scope }: Line<R>,
  { node, run, output }: Worker<R>,
  groups: ReadonlyArray<Rows>,
  begun: Array<Begun>,
  isEnding: boolean
) {
  const { in_flight } = session.settings
  for (const group of groups)
    begun.push({ from: group.positions[0]!, fiber: yield* Effect.forkIn(run({ node: node.id, shard }, group), scope) })
  if (begun.length < in_flight && !isEnding) return undefined
  const oldest = begun[0]!
  const made = yield* session.recorder.timed(node.id, Fiber.join(oldest.fiber))
  begun.shift()
  if (output !== undefined) yield* keepMade(session, node, output, made)
  return made.rows === undefined ? [] : [made.rows]
})

/**
 * Lets the nodes do what they have rows for. After every few groups of a node those that read them have their turn, the
 * hindmost first, so that few rows of a streamed column exist at a time. Nodes up to number `ending` do what is less than a
 * group, too: nothing comes after it.
 */
const settle = Effect.fnUntraced(function* <R>(line: Line<R>, ending: number) {
  const { session, workers, targets, begun } = line
  for (let at = workers.length - 1; at >= 0;) {
    const worker = workers[at]!
    const { inbox } = worker
    const own = begun[at]!
    const isEnding = at <= ending
    const groups = takeGroups(inbox, session.settings.in_flight - own.length, isEnding)
    const rows =
      groups.length + own.length === 0
        ? undefined
        : yield* inbox.isGrouped ? workAhead(line, worker, groups, own, isEnding) : work(line, worker, groups)
    const next = own[0]?.from ?? inbox.waiting
    offer(targets[at]!, rows ?? [], isEnding && rows === undefined ? Infinity : next)
    at = rows === undefined ? at - 1 : Math.max(at, ...targets[at]!.map((target) => target.at))
  }
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

/** Drives every worker over the rows of a shard as they arrive. */
export const driveWorkers = Effect.fnUntraced(function* <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>,
  source: SourceTask | undefined,
  arrivals: Stream.Stream<Arrival, NodeError, R>
) {
  const base = targetsOf(workers, undefined)
  const targets = workers.map(({ node }) => targetsOf(workers, node))
  const stored = yield* storedLanes(session, shard, workers)
  const line: Line<R> = {
    session,
    shard: session.keys.shardName(shard),
    workers,
    targets,
    begun: workers.map(() => []),
    scope: yield* Effect.scope
  }
  let position = 0
  const feed = Effect.fnUntraced(function* (arrival: Arrival) {
    if (source !== undefined) yield* keepMade(session, source.node, source.output, sourceMade(source.node, arrival))
    const rows = { batch: arrival.batch, positions: countFrom(position, arrival.batch.numRows) }
    position += arrival.batch.numRows
    offer(base, [rows], position)
    for (const { beside, targets } of stored) offer(targets, yield* beside.among(rows), position)
    yield* settle(line, -1)
  })
  const { owner } = session.layout.rowSet(shard.rowSet)
  const behind = workers.map(({ node }) => node.id).join(", ") || "store"
  const afterWaiting = yield* waitsBetween(owner.id, `${owner.id} -> ${behind}`)
  yield* arrivals.pipe(
    Stream.buffer({ capacity: 2 }),
    Stream.runForEach((arrival) => afterWaiting(feed(arrival)))
  )
  for (const targets of [base, ...stored.map((lane) => lane.targets)]) offer(targets, [], Infinity)
  for (const ending of workers.keys()) yield* settle(line, ending)
})

/** Reads the shard once. */
export const runPass = <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>,
  source: SourceTask | undefined
) =>
  driveWorkers(
    session,
    shard,
    workers,
    source,
    fromSource(session, shard, workers, source !== undefined)
      ? sourceRows<R>(session, shard)
      : storedRows(session, shard)
  )
