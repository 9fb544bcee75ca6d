/**
 * Chain: passes over the shards of one row set, through every map, route and expand that can run in them. Tasks that are in
 * the store already aren't run again; their columns are read back where a later node needs them.
 */
import type { PlanNode, Wire } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { openBodies } from "./Bodies.ts"
import type { Bodies } from "./Bodies.ts"
import { bytesOf, ensureSpace } from "./DiskSpace.ts"
import { Inbox } from "./Inbox.ts"
import type { ShardRef } from "./Keys.ts"
import { storedColumns } from "./Layout.ts"
import type { Chain } from "./Layout.ts"
import { runPass } from "./Pass.ts"
import type { Worker } from "./Pass.ts"
import type { Session } from "./Session.ts"
import { lanesFor } from "./ShardRows.ts"
import type { Lane } from "./ShardRows.ts"
import type { TaskOutput } from "./TaskOutput.ts"
import { beginTask, commitTask, countTask, findTask } from "./Tasks.ts"
import type { Artifacts } from "./Tasks.ts"

export const runChain = Effect.fnUntraced(function* <R>(session: Session, chain: Chain) {
  const shards = session.keys.shards(chain.rowSet)
  const bodies = yield* openBodies<R>(session)
  const total = rowsToCome(session, shards)
  for (const node of chain.nodes) session.recorder.expect(node.id, total)
  let todo = shards.length
  const nodes = chain.nodes.map(({ id }) => id)
  const run = Effect.fnUntraced(function* (shard: ShardRef) {
    let bytes = 0
    yield* session.doTask({
      name: `${nodes.join(" ")} over ${shard.rowSet} ${shard.index}`,
      nodes,
      work: Effect.map(Effect.scoped(runShard<R>(session, chain, shard, bodies)), (made) => {
        bytes = made
        return chain.nodes.flatMap((node) => Object.values(session.keys.taskKeys(node, shard)))
      }),
      recall: Effect.map(countStored(session, chain, shard), (missing) => missing.length === 0)
    })
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

/** Of nodes that would make the same over a shard, the one that does it for all. */
type Twin = (node: PlanNode) => PlanNode

/** The first that is asked for stands for all with its key. */
const twinsOf = ({ keys }: Session, shard: ShardRef): Twin => {
  const first = new Map<string, PlanNode>()
  return (node) => {
    const key = Object.values(keys.taskKeys(node, shard)).join()
    const twin = first.get(key) ?? node
    first.set(key, twin)
    return twin
  }
}

/** What a node reads: all that is wired, for an operator with open inputs may decide by any of them. */
const lanesOf = ({ layout }: Session, node: PlanNode, twin: Twin): ReadonlyArray<Lane> => {
  const wires = Object.entries(node.inputs).flatMap(([input, [wire]]): ReadonlyArray<[string, Wire]> =>
    wire?._tag === "Column" ? [[input, wire]] : []
  )
  return lanesFor(layout, Object.fromEntries(wires), twin)
}

/** The nodes that have to run for the missing tasks, in the order of the plan: they, and maps whose columns aren't stored. */
const toRun = (session: Session, missing: ReadonlyArray<PlanNode>, twin: Twin): ReadonlyArray<PlanNode> => {
  const running = new Set(missing)
  const visit = (node: PlanNode): void => {
    for (const { map, columns } of lanesOf(session, node, twin)) {
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

/** Counts what of a shard is in the store and gives the nodes that have yet to run. */
const countStored = Effect.fnUntraced(function* (session: Session, chain: Chain, shard: ShardRef) {
  const missing: Array<PlanNode> = []
  for (const node of chain.nodes) {
    const found = yield* findTask(session, node, shard)
    if (found === undefined) missing.push(node)
    else yield* countTask(session, node, shard, found, false)
  }
  return missing
})

/** Gives the bytes that were added to the store. */
const runShard = Effect.fnUntraced(function* <R>(session: Session, chain: Chain, shard: ShardRef, bodies: Bodies<R>) {
  const missing = yield* countStored(session, chain, shard)
  if (missing.length === 0) return 0
  const twin = twinsOf(session, shard)
  const todo = missing.filter((node) => twin(node) === node)
  const outputs = new Map<PlanNode, TaskOutput>()
  for (const node of todo) outputs.set(node, yield* beginTask(session, node, shard))
  const workers: Array<Worker<R>> = []
  for (const node of toRun(session, todo, twin)) {
    const lanes = lanesOf(session, node, twin)
    const inbox = new Inbox(
      lanes.map(({ columns }) => columns),
      groupSize(node)
    )
    workers.push({ node, lanes, inbox, run: yield* bodies(node), output: outputs.get(node) })
  }
  const source = todo.find((node) => node.operator.kind === "source")
  yield* runPass(session, shard, workers, source && { node: source, output: outputs.get(source)! })
  const made = new Map<PlanNode, Artifacts>()
  for (const node of missing) {
    const output = outputs.get(node)
    const artifacts = output === undefined ? made.get(twin(node))! : yield* commitTask(session, node, shard, output)
    made.set(node, artifacts)
    yield* countTask(session, node, shard, artifacts, output !== undefined)
  }
  const committed = todo.flatMap((node) => Object.values(made.get(node)!))
  return committed.reduce((sum, artifact) => sum + bytesOf(artifact), 0)
})

const groupSize = ({ operator, config }: PlanNode): number | undefined =>
  operator.kind === "map" || operator.kind === "expand" ? operator.body.batchSize?.(config) : undefined
