/**
 * Train driver: steps 0, 1, ... over committed rows with random access. Every `checkpointEvery` steps the whole state is
 * committed; a run that was killed goes on from the newest checkpoint that is whole, and ends with the same bytes.
 */
import { gatherRows, keyOf, openDataset, selectColumns } from "@bootlace/data"
import type { StoredDataset } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Batch, Dataset, Metrics, PlanNode, TrainBody, Training, Wire } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { Checkpoints } from "./Checkpoint.ts"
import { writerOf } from "./Fold.ts"
import { callOperator, storing } from "./Guard.ts"
import { rowSetOf } from "./Layout.ts"
import { openContext } from "./Session.ts"
import type { Session } from "./Session.ts"
import { artifactOf } from "./ShardRows.ts"
import { runWhole } from "./WholeTask.ts"

/** Bytes of decoded shards that all datasets of a train keep in memory together. */
const cacheBytes = 512 * 1024 * 1024

/** The rows of one wire. */
interface Table {
  readonly dataset: StoredDataset
  readonly names: Readonly<Record<string, string>>
  readonly start: number
}

const openWire = Effect.fnUntraced(function* (
  session: Session,
  wire: Wire & { readonly _tag: "Stream" },
  cache_bytes: number
) {
  const { keys, layout } = session
  const shards = keys.shards(rowSetOf(wire.node, wire.port))
  const artifacts = yield* Effect.forEach(shards, (shard) => {
    const { owner, port } = layout.rowSet(shard.rowSet)
    return artifactOf(session, owner, keys.parentShard(shard), port)
  })
  return yield* openDataset(artifacts, { cache_bytes })
})

/** The wires of a stream input laid end to end. */
const openInput = Effect.fnUntraced(function* (
  session: Session,
  node: PlanNode,
  input: string,
  wires: ReadonlyArray<Wire>,
  share: number
) {
  const tables: Array<Table> = []
  let start = 0
  for (const wire of wires) {
    if (wire._tag !== "Stream") continue
    const columns = session.layout.streamColumns(node, input, wire)
    const dataset = yield* openWire(session, wire, share / wires.length)
    tables.push({ dataset, start, names: Object.fromEntries(["row_id", ...columns].map((column) => [column, column])) })
    start += dataset.numRows
  }
  const numRows = start
  const rows = (indices: Int32Array): Effect.Effect<Batch, NodeError> => {
    const outside = indices.find((row) => row < 0 || row >= numRows)
    return outside === undefined
      ? gathered(node.id, tables, indices)
      : Effect.fail(
          new NodeError({
            code: "R231",
            node: node.id,
            detail: `asked for row ${outside} of ${input}, which has ${numRows}`
          })
        )
  }
  const dataset: Dataset = { digest: keyOf(tables.map((table) => table.dataset.digest)), numRows, rows }
  return dataset
})

const gathered = Effect.fnUntraced(function* (node: string, tables: ReadonlyArray<Table>, indices: Int32Array) {
  const owners = Array.from(indices, (row) => tables.findLastIndex(({ start }) => start <= row))
  const used = [...new Set(owners)]
  const batches: Array<Batch> = []
  const places = new Int32Array(indices.length)
  for (const owner of used) {
    const { dataset, names, start } = tables[owner]!
    const own = indices.filter((_, i) => owners[i] === owner).map((row) => row - start)
    let at = 0
    owners.forEach((each, i) => each === owner && (places[i] = at++))
    batches.push(selectColumns(yield* storing({ node })(dataset.rows(own)), names))
  }
  return batches.length === 1
    ? batches[0]!
    : gatherRows(
        batches,
        Int32Array.from(owners, (owner) => used.indexOf(owner)),
        places
      )
})

const openDatasets = Effect.fnUntraced(function* (session: Session, node: PlanNode) {
  const inputs = Object.entries(node.inputs).filter(([, wires]) => wires.some((wire) => wire._tag === "Stream"))
  const datasets: Record<string, Dataset> = {}
  for (const [input, wires] of inputs) {
    datasets[input] = yield* openInput(session, node, input, wires, cacheBytes / inputs.length)
  }
  return datasets as Readonly<Record<string, Dataset>>
})

export const runTrain = <R>(session: Session, node: PlanNode) =>
  runWhole(session, node, (key) => makeModel<R>(session, node, key))

const makeModel = Effect.fnUntraced(function* <R>(session: Session, node: PlanNode, key: string) {
  const where = { node: node.id }
  const timeout = session.settings.call_timeout
  const { body } = node.operator as unknown as { readonly body: TrainBody<unknown, R> }
  const draft = yield* storing(where)(session.store.begin(key))
  const datasets = yield* openDatasets(session, node)
  const open: Effect.Effect<Training<R>, NodeError, R | Scope.Scope> = callOperator(where, timeout, () =>
    body.open({
      ...openContext(session, node, session.artifacts),
      writer: writerOf(node.id, draft, () => undefined),
      datasets,
      graph: node.training ?? { nodes: [], minimize: [] }
    })
  )
  const every = Math.max(1, body.checkpointEvery(node.config))
  const checkpoints = new Checkpoints(session, node.id, key, every)
  const { body: training, at: first } = yield* checkpoints.resume(open, ({ steps }) => steps - 1)
  const { steps } = training
  session.recorder.expect(node.id, steps)
  yield* session.recorder.advanced(node.id, first)
  for (let step = first; step < steps; step++) {
    const metrics = yield* callOperator(where, timeout, () => training.step(step))
    yield* checkFinite(node.id, step, metrics)
    yield* session.recorder.advanced(node.id, 1, metrics)
    const done = step + 1
    if (done % every !== 0 || done === steps) continue
    yield* checkpoints.save(done, yield* callOperator(where, timeout, () => training.snapshot))
  }
  const metrics = yield* callOperator(where, timeout, () => training.finish)
  const rows_in = Object.values(datasets).reduce((sum, { numRows }) => sum + numRows, 0)
  const artifact = yield* storing(where)(draft.commit({ type: "model", metrics, rows_in }))
  yield* checkpoints.clear(steps - 1)
  return artifact
}, Effect.scoped)

const checkFinite = (node: string, step: number, metrics: Metrics): Effect.Effect<void, NodeError> => {
  const bad = Object.entries(metrics).find(([name, value]) => name.endsWith("loss") && !Number.isFinite(value))
  if (bad === undefined) return Effect.void
  const hint = "the last checkpoint holds the state before it"
  return Effect.fail(new NodeError({ code: "R301", node, detail: `${bad[0]} is ${bad[1]} at step ${step}`, hint }))
}
