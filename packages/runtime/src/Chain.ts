/**
 * Chain: one pass over the shards of one row set, through every map, route and expand that can run in it.
 *
 *   read (source or store)  ->  at most 2 batches wait  ->  nodes in order, each with its inbox  ->  task outputs
 *
 * Inside the pass nothing waits but the rows that an inbox regroups, so a diamond can't deadlock and a slow node holds the
 * reader back. Tasks that are in the store already aren't run again; their columns are read back where a later node needs them.
 */
import type { CommittedArtifact, Draft } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { PlanNode, Wire } from "@bootlace/graph"
import { Effect, Stream } from "effect"
import { openBodies } from "./Bodies.ts"
import type { Bodies, Run } from "./Bodies.ts"
import { bytesOf, ensureSpace } from "./DiskSpace.ts"
import { brokenPromise, storing } from "./Guard.ts"
import type { Where } from "./Guard.ts"
import { Inbox } from "./Inbox.ts"
import type { Rows } from "./Inbox.ts"
import { columnsToStore, portsOf } from "./Keys.ts"
import type { ShardRef } from "./Keys.ts"
import { storedColumns } from "./Layout.ts"
import type { Chain } from "./Layout.ts"
import type { Session } from "./Session.ts"
import { besideRows, lanesFor, sourceRows, storedRows } from "./ShardRows.ts"
import type { Arrival, Beside, Lane } from "./ShardRows.ts"
import type { Made } from "./Step.ts"
import { countsOf, rejectedFile, TaskOutput } from "./TaskOutput.ts"
import type { RejectedRow } from "./TaskOutput.ts"

type Artifacts = Readonly<Record<string, CommittedArtifact>>

/** A node at work in a pass. */
interface Worker<R> {
  readonly node: PlanNode
  readonly lanes: ReadonlyArray<Lane>
  readonly inbox: Inbox
  readonly run: Run<R>
  /** Undefined where the node runs again only to feed others. */
  readonly output: TaskOutput | undefined
}

export const runChain = Effect.fnUntraced(function* <R>(session: Session, chain: Chain) {
  const shards = session.keys.shards(chain.rowSet)
  const bodies = yield* openBodies<R>(session)
  const total = rowsToCome(session, shards)
  for (const node of chain.nodes) session.recorder.expect(node.id, total)
  let todo = shards.length
  const run = Effect.fnUntraced(function* (shard: ShardRef) {
    const bytes = yield* Effect.scoped(runShard<R>(session, chain, shard, bodies))
    todo -= 1
    yield* ensureSpace(session, chain.nodes[0]!.id, bytes * todo)
  })
  yield* Effect.forEach(shards, run, { concurrency: session.settings.shards_at_once, discard: true })
  yield* Effect.forEach(chain.nodes, (node) => session.recorder.ended(node), { discard: true })
}, Effect.scoped)

/** Rows of the pass, where its source says how many or its row set is stored. */
const rowsToCome = ({ layout, sources, recorder }: Session, shards: ReadonlyArray<ShardRef>): number | undefined => {
  let total = 0
  for (const { rowSet, index } of shards) {
    const rows = recorder.rowsOf(rowSet, index) ?? sources.get(layout.rowSet(rowSet).owner.id)?.shards[index]?.rows
    if (rows === undefined) return undefined
    total += rows
  }
  return total
}

/** What a node reads: all that is wired, for an operator with open inputs may decide by any of them. */
const lanesOf = ({ layout }: Session, node: PlanNode): ReadonlyArray<Lane> => {
  const wires = Object.entries(node.inputs).flatMap(([input, [wire]]): ReadonlyArray<[string, Wire]> =>
    wire?._tag === "Column" ? [[input, wire]] : []
  )
  return lanesFor(layout, Object.fromEntries(wires))
}

/** The nodes that have to run for the missing tasks, in the order of the plan: they, and maps whose columns aren't stored. */
const toRun = (session: Session, missing: ReadonlyArray<PlanNode>): ReadonlyArray<PlanNode> => {
  const running = new Set(missing)
  const visit = (node: PlanNode): void => {
    for (const { map, columns } of lanesOf(session, node)) {
      if (map === undefined || running.has(map)) continue
      const stored = storedColumns(map)
      if (Object.values(columns).every((column) => stored.includes(column))) continue
      running.add(map)
      visit(map)
    }
  }
  missing.forEach(visit)
  return session.layout.plan.nodes.filter((node) => running.has(node) && node.operator.kind !== "source")
}

/** The task's artifacts if all of them are in the store. */
export const committed = Effect.fnUntraced(function* (session: Session, node: PlanNode, shard: ShardRef) {
  const artifacts: Record<string, CommittedArtifact> = {}
  for (const [port, key] of Object.entries(session.keys.taskKeys(node, shard))) {
    const artifact = yield* storing({ node: node.id })(session.store.open(key))
    if (artifact === undefined) return undefined
    artifacts[port] = artifact
  }
  return artifacts as Artifacts
})

const beginOutput = Effect.fnUntraced(function* (session: Session, node: PlanNode, shard: ShardRef) {
  const ports: Record<string, { columns: ReadonlyArray<string>; draft: Draft }> = {}
  for (const [port, key] of Object.entries(session.keys.taskKeys(node, shard))) {
    const draft = yield* storing({ node: node.id })(session.store.begin(key))
    ports[port] = { columns: columnsToStore(session.layout, node, port), draft }
  }
  return new TaskOutput(ports)
})

/** Gives the bytes that were added to the store. */
const runShard = Effect.fnUntraced(function* <R>(session: Session, chain: Chain, shard: ShardRef, bodies: Bodies<R>) {
  const missing: Array<PlanNode> = []
  for (const node of chain.nodes) {
    const found = yield* committed(session, node, shard)
    if (found === undefined) missing.push(node)
    else yield* finished(session, node, shard, found, false)
  }
  if (missing.length === 0) return 0
  const outputs = new Map<string, TaskOutput>()
  for (const node of missing) outputs.set(node.id, yield* beginOutput(session, node, shard))
  const workers: Array<Worker<R>> = []
  for (const node of toRun(session, missing)) {
    const lanes = lanesOf(session, node)
    const { operator } = node
    const size =
      operator.kind === "map" || operator.kind === "expand" ? operator.body.batchSize?.(node.config) : undefined
    const inbox = new Inbox(
      lanes.map(({ columns }) => columns),
      size
    )
    workers.push({ node, lanes, inbox, run: yield* bodies(node), output: outputs.get(node.id) })
  }
  const source = missing.find((node) => node.operator.kind === "source")
  yield* pass(session, shard, workers, source && { node: source, output: outputs.get(source.id)! })
  let bytes = 0
  for (const node of missing) {
    const output = outputs.get(node.id)!
    const where: Where = { node: node.id, shard: session.keys.shardName(shard) }
    const unbalanced = imbalance(node, output, where)
    if (unbalanced !== undefined) return yield* unbalanced
    const artifacts = yield* storing(where)(output.commit)
    bytes += Object.values(artifacts).reduce((sum, artifact) => sum + bytesOf(artifact), 0)
    yield* finished(session, node, shard, artifacts, true)
  }
  return bytes
})

/** Every row is counted once as kept or rejected. A source gives each row to all of its ports. */
const imbalance = (node: PlanNode, { rowsIn, rowsOut, rejected }: TaskOutput, where: Where): NodeError | undefined => {
  const { kind } = node.operator
  const kept = kind === "source" ? rowsOut / portsOf(node).length : rowsOut
  if (kind === "expand" || rowsIn === kept + rejected.length) return undefined
  return brokenPromise(where, `${rowsIn} rows came in, ${kept} went out and ${rejected.length} were rejected`)
}

interface SourceTask {
  readonly node: PlanNode
  readonly output: TaskOutput
}

/** Reads the shard once and drives every worker over it. */
const pass = Effect.fnUntraced(function* <R>(
  session: Session,
  shard: ShardRef,
  workers: ReadonlyArray<Worker<R>>,
  source: SourceTask | undefined
) {
  const targets = (map: PlanNode | undefined): ReadonlyArray<Target> =>
    workers.flatMap(({ inbox, lanes }) =>
      lanes.flatMap((lane, number) => (lane.map === map ? [{ inbox, number }] : []))
    )
  const running = new Set(workers.map(({ node }) => node))
  const stored = new Set(
    workers.flatMap(({ lanes }) => lanes.flatMap(({ map }) => (map && !running.has(map) ? [map] : [])))
  )
  const beside: Array<{ readonly rows: Beside; readonly targets: ReadonlyArray<Target> }> = []
  for (const map of stored) beside.push({ rows: yield* besideRows(session, map, shard), targets: targets(map) })
  const base = targets(undefined)
  const name = session.keys.shardName(shard)

  const drain = Effect.fnUntraced(function* (last: boolean) {
    for (const worker of workers) {
      const groups: Array<Rows> = []
      for (let group = worker.inbox.take(last); group !== undefined; group = worker.inbox.take(last)) groups.push(group)
      const where = { node: worker.node.id, shard: name }
      const work = Effect.forEach(groups, (rows) => worker.run(where, rows), {
        concurrency: session.settings.in_flight
      })
      const made = groups.length === 0 ? [] : yield* session.recorder.timed(worker.node.id, work)
      const after = targets(worker.node)
      for (const one of made) {
        yield* keep(session, worker.node, worker.output, one)
        for (const { inbox, number } of after) inbox.offer(number, one.rows, 0)
      }
      for (const { inbox, number } of after) inbox.offer(number, undefined, last ? Infinity : worker.inbox.waiting)
    }
  })

  let position = 0
  const feed = Effect.fnUntraced(function* (arrival: Arrival) {
    if (source !== undefined) yield* keep(session, source.node, source.output, sourceMade(source.node, arrival))
    const rows = { batch: arrival.batch, positions: Int32Array.from(range(position, arrival.batch.numRows)) }
    position += arrival.batch.numRows
    for (const { inbox, number } of base) inbox.offer(number, rows, position)
    for (const lane of beside) {
      const found = yield* lane.rows.among(rows)
      for (const { inbox, number } of lane.targets) {
        for (const some of found) inbox.offer(number, some, 0)
        inbox.offer(number, undefined, position)
      }
    }
    yield* drain(false)
  })

  const arrivals = fromSource(session, shard, workers, source !== undefined)
    ? sourceRows<R>(session, shard)
    : storedRows(session, shard)
  yield* arrivals.pipe(Stream.buffer({ capacity: 2 }), Stream.runForEach(feed))
  for (const { inbox, number } of [...base, ...beside.flatMap((lane) => lane.targets)])
    inbox.offer(number, undefined, Infinity)
  yield* drain(true)
})

interface Target {
  readonly inbox: Inbox
  readonly number: number
}

const range = (start: number, length: number) => Array.from({ length }, (_, i) => start + i)

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

/** Puts what came of a group into the task's output, or stops the run at a bad row where the node says so. */
const keep = Effect.fnUntraced(function* (
  session: Session,
  node: PlanNode,
  output: TaskOutput | undefined,
  made: Made
) {
  if (output === undefined) return
  output.rowsIn += made.rowsIn
  output.rejected.push(...made.rejected)
  for (const { port, batch, ledger } of made.ports) yield* storing({ node: node.id })(output.add(port, batch, ledger))
  const [bad] = made.rejected
  if (bad !== undefined && node.on_bad_row.action === "stop") return yield* stopped(node, bad)
  yield* session.recorder.advanced(node.id, made.rowsIn)
})

const stopped = (node: PlanNode, { shard, row, code, reason }: RejectedRow): NodeError =>
  new NodeError({
    code: "R233",
    node: node.id,
    shard,
    row,
    detail: `${code} ${reason}`,
    hint: `on_bad_row of ${node.id} is stop; say reject to put such rows aside`
  })

/** Counts a task that is committed, by this run or before it. */
const finished = Effect.fnUntraced(function* (
  session: Session,
  node: PlanNode,
  shard: ShardRef,
  artifacts: Artifacts,
  isFresh: boolean
) {
  const [first] = Object.values(artifacts)
  if (first === undefined) return
  if (countsOf(first).rejected > 0 && node.on_bad_row.action === "stop") {
    const lines = yield* storing({ node: node.id })(first.read(rejectedFile))
    const [line] = new TextDecoder().decode(lines).split("\n")
    return yield* stopped(node, JSON.parse(line!) as RejectedRow)
  }
  session.recorder.task(node, shard, artifacts, isFresh)
})
