/** Tasks over a shard: found in the store, begun, filled group by group, checked, committed and counted. */
import type { CommittedArtifact, Draft } from "@bootlace/data"
import { NodeError, spanned } from "@bootlace/graph"
import type { PlanNode } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { brokenPromise, storing } from "./Guard.ts"
import type { Where } from "./Guard.ts"
import { columnsToStore, portsOf } from "./Keys.ts"
import type { ShardRef } from "./Keys.ts"
import type { Session } from "./Session.ts"
import type { Made } from "./Step.ts"
import { countsOf, rejectedFile, TaskOutput } from "./TaskOutput.ts"
import type { RejectedRow } from "./TaskOutput.ts"

/** What a task has committed, by port. */
export type Artifacts = Readonly<Record<string, CommittedArtifact>>

/** The task's artifacts if all of them are in the store. */
export const findTask = Effect.fnUntraced(function* (session: Session, node: PlanNode, shard: ShardRef) {
  const artifacts: Record<string, CommittedArtifact> = {}
  for (const [port, key] of Object.entries(session.keys.taskKeys(node, shard))) {
    const artifact = yield* storing({ node: node.id })(session.store.open(key))
    if (artifact === undefined) return undefined
    artifacts[port] = artifact
  }
  return artifacts as Artifacts
})

export const beginTask = Effect.fnUntraced(function* (session: Session, node: PlanNode, shard: ShardRef) {
  const ports: Record<string, { columns: ReadonlyArray<string>; draft: Draft }> = {}
  for (const [port, key] of Object.entries(session.keys.taskKeys(node, shard))) {
    const draft = yield* storing({ node: node.id })(session.store.begin(key))
    ports[port] = { columns: columnsToStore(session.layout, node, port), draft }
  }
  return new TaskOutput(ports)
})

/** Puts what came of a group into the task's output, or stops the run at a bad row where the node says so. */
export const keepMade = Effect.fnUntraced(function* (
  session: Session,
  node: PlanNode,
  output: TaskOutput | undefined,
  made: Made
) {
  if (output === undefined) return
  output.rowsIn += made.rowsIn
  output.rejected.push(...made.rejected)
  const add = Effect.forEach(made.ports, ({ port, batch, ledger }) => output.add(port, batch, ledger), {
    discard: true
  })
  yield* spanned(node.id, "write", "rows", storing({ node: node.id })(add))
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

/** Commits a task whose rows are all there. */
export const commitTask = Effect.fnUntraced(function* (
  session: Session,
  node: PlanNode,
  shard: ShardRef,
  output: TaskOutput
) {
  const where: Where = { node: node.id, shard: session.keys.shardName(shard) }
  const unbalanced = imbalance(node, output, where)
  if (unbalanced !== undefined) return yield* unbalanced
  return (yield* spanned(node.id, "write", "commit", storing(where)(output.commit))) as Artifacts
})

/** Every row is counted once as kept or rejected. A source gives each row to all of its ports. */
const imbalance = (node: PlanNode, { rowsIn, rowsOut, rejected }: TaskOutput, where: Where): NodeError | undefined => {
  const { kind } = node.operator
  const kept = kind === "source" ? rowsOut / portsOf(node).length : rowsOut
  if (kind === "expand" || rowsIn === kept + rejected.length) return undefined
  return brokenPromise(where, `${rowsIn} rows came in, ${kept} went out and ${rejected.length} were rejected`)
}

/** Counts a task that is committed, by this run or before it. */
export const countTask = Effect.fnUntraced(function* (
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
