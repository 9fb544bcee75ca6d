/**
 * Fold driver: drains the ports of a fold in their declared order and commits the artifact it makes. A snapshot every so many
 * batches lets a killed run go on from there; a fold that has written files already can't be restored half-way and starts anew.
 */
import { decodeShard, schemaHash, selectColumns } from "@bootlace/data"
import type { Draft } from "@bootlace/data"
import { NodeError, waitsBetween } from "@bootlace/graph"
import type { ArtifactWriter, Batch, Fold, FoldBody, PlanNode, RowSet, Wire } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { Checkpoints } from "./Checkpoint.ts"
import { callOperator, storing } from "./Guard.ts"
import { rowSetOf } from "./Layout.ts"
import { openContext } from "./Session.ts"
import type { Session } from "./Session.ts"
import { artifactOf, joinedRows, lanesFor } from "./ShardRows.ts"
import type { Lane } from "./ShardRows.ts"
import { countsOf } from "./TaskOutput.ts"
import { runWhole } from "./WholeTask.ts"

/** One row set to drain into a port. */
interface Drain {
  readonly port: string
  readonly rowSet: RowSet
  readonly lanes: ReadonlyArray<Lane>
}

const isList = (input: unknown): boolean =>
  typeof input === "object" && input !== null && "many" in input && input.many === true

/** Plain columns share the port `rows`, drained where the first of them is declared. */
const drainsOf = ({ layout }: Session, node: PlanNode): ReadonlyArray<Drain> => {
  const declared: Readonly<Record<string, unknown>> = node.operator.inputs
  const order = [...new Set([...Object.keys(declared), ...Object.keys(node.inputs)])]
  const plain = order.flatMap((input): ReadonlyArray<[string, Wire]> => {
    const [wire] = node.inputs[input] ?? []
    return wire?._tag === "Column" && !isList(declared[input]) ? [[input, wire]] : []
  })
  return order.flatMap((input): ReadonlyArray<Drain> => {
    if (input === plain[0]?.[0]) {
      const { rowSet } = layout.origin(plain[0][1])
      return [{ port: "rows", rowSet, lanes: lanesFor(layout, Object.fromEntries(plain)) }]
    }
    if (plain.some(([name]) => name === input)) return []
    return (node.inputs[input] ?? []).flatMap((wire): ReadonlyArray<Drain> => {
      if (wire._tag === "Artifact") return []
      if (wire._tag === "Column") {
        return [{ port: input, rowSet: layout.origin(wire).rowSet, lanes: lanesFor(layout, { [input]: wire }) }]
      }
      const columns = Object.fromEntries(Object.keys(wire.columns).map((column) => [column, column]))
      return [{ port: input, rowSet: rowSetOf(wire.node, wire.port), lanes: [{ map: undefined, columns }] }]
    })
  })
}

/** Puts the files that a fold or train writes into its draft. */
export const writerOf = (node: string, draft: Draft, onWrite: () => void): ArtifactWriter => ({
  write: (name, bytes, rows) => {
    onWrite()
    const whole = (): Uint8Array => (bytes instanceof Uint8Array ? bytes : Buffer.concat(bytes))
    const schema = (): string => (name.endsWith(".arrow") ? schemaHash(decodeShard(whole(), name)[0]!.schema) : "")
    return storing({ node })(
      Effect.suspend(() => draft.write(name, bytes, rows === undefined ? undefined : { rows, schema: schema() }))
    )
  }
})

/** Rows of the row sets that a fold or train reads. */
const countRows = Effect.fnUntraced(function* (session: Session, rowSets: ReadonlyArray<RowSet>) {
  let rows = 0
  for (const shard of rowSets.flatMap((rowSet) => session.keys.shards(rowSet))) {
    const { owner, port } = session.layout.rowSet(shard.rowSet)
    rows += countsOf(yield* artifactOf(session, owner, session.keys.parentShard(shard), port)).rows
  }
  return rows
})

/** sha256 over the files that a fold reads beside its rows; undefined where it reads none. */
export const fileContent = <R>({ layout, settings }: Pick<Session, "layout" | "settings">, node: PlanNode) => {
  const { content } = (node.operator as unknown as { readonly body: FoldBody<unknown, R> }).body
  const context = { node: node.id, config: node.config, seed: layout.plan.seed, directory: settings.directory }
  return content === undefined
    ? Effect.succeed(undefined)
    : callOperator({ node: node.id }, settings.call_timeout, () => content(context))
}

/** The key was made of what the files held then: what was read since must be the same. */
const checkContent = <R>(session: Session, node: PlanNode) =>
  Effect.flatMap(fileContent<R>(session, node), (content) =>
    content === session.keys.contentOf(node)
      ? Effect.void
      : Effect.fail(
          new NodeError({
            code: "R112",
            node: node.id,
            detail: "its files changed while they were read",
            hint: "run again"
          })
        )
  )

export const runFold = <R>(session: Session, node: PlanNode) =>
  runWhole(session, node, (key) => makeArtifact<R>(session, node, key))

const makeArtifact = Effect.fnUntraced(function* <R>(session: Session, node: PlanNode, key: string) {
  const { call_timeout, fold_checkpoint_batches: every } = session.settings
  const where = { node: node.id }
  const drains = drainsOf(session, node)
  const total = yield* countRows(
    session,
    drains.map(({ rowSet }) => rowSet)
  )
  session.recorder.expect(node.id, total)
  let hasWritten = false
  const draft = yield* storing(where)(session.store.begin(key))
  const writer = writerOf(node.id, draft, () => (hasWritten = true))
  const context = { ...openContext(session, node, session.artifacts), writer }
  const { body } = node.operator as unknown as { readonly body: FoldBody<unknown, R> }
  const checkpoints = new Checkpoints(session, node.id, key, every)
  const open: Effect.Effect<Fold<R>, NodeError, R | Scope.Scope> = callOperator(where, call_timeout, () =>
    body.open(context)
  )
  const { body: fold, at: done } = yield* checkpoints.resume(open, () => total)
  let batches = 0
  let rows = 0
  const step = Effect.fnUntraced(function* (port: string, batch: Batch) {
    rows += batch.numRows
    batches += 1
    if (batches > done) yield* callOperator(where, call_timeout, () => fold.step(port, batch), batch.numRows)
    yield* session.recorder.advanced(node.id, batch.numRows)
    if (batches <= done) return
    if (batches % every !== 0 || hasWritten) return
    yield* checkpoints.save(batches, yield* callOperator(where, call_timeout, () => fold.snapshot))
  })
  for (const { port, rowSet, lanes } of drains) {
    for (const shard of session.keys.shards(rowSet)) {
      const order = Object.fromEntries(
        ["row_id", ...lanes.flatMap(({ columns }) => Object.keys(columns))].map((name) => [name, name])
      )
      const { owner } = session.layout.rowSet(rowSet)
      const afterWaiting = yield* waitsBetween(node.id, `${owner.id} -> ${node.id}`)
      yield* joinedRows(session, shard, lanes).pipe(
        Stream.buffer({ capacity: 2 }),
        Stream.runForEach((batch) => afterWaiting(step(port, selectColumns(batch, order))))
      )
    }
  }
  const metrics = yield* callOperator(where, call_timeout, () => fold.finish)
  yield* checkContent<R>(session, node)
  const [type] = Object.values(node.artifacts)
  const artifact = yield* storing(where)(draft.commit({ type, metrics, rows_in: rows }))
  yield* checkpoints.clear(batches)
  return artifact
}, Effect.scoped)
