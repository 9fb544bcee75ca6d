/**
 * The rows of one shard, from where they are: streamed from the source, or read back from the store. Columns of maps that ran
 * in an earlier pass are laid beside them by row id.
 */
import {
  columnOf,
  makeBatch,
  openDataset,
  rowIdBytes,
  rowIdHex,
  rowIdsOf,
  rowIdVector,
  sliceRows
} from "@bootlace/data"
import { sourceRowIds, takeRows } from "@bootlace/data"
import type { CommittedArtifact } from "@bootlace/data"
import type { Batch, NodeError, PlanNode, SourceBatch, Wire } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { brokenPromise, readSource, storing } from "./Guard.ts"
import type { Where } from "./Guard.ts"
import { countFrom, Inbox } from "./Inbox.ts"
import type { Rows } from "./Inbox.ts"
import { mapPort } from "./Keys.ts"
import type { ShardRef } from "./Keys.ts"
import type { Layout } from "./Layout.ts"
import type { Session } from "./Session.ts"
import { countsOf } from "./TaskOutput.ts"
import type { RejectedRow } from "./TaskOutput.ts"

/** Rows on their way into a chain; `rejected` only where they come from a source. */
export interface Arrival {
  readonly batch: Batch
  readonly rejected: ReadonlyArray<RejectedRow>
}

/** Where columns come from: a map of the row set, or (undefined) the row set itself. */
export interface Lane {
  readonly map: PlanNode | undefined
  /** `{ input: column }` */
  readonly columns: Readonly<Record<string, string>>
}

/**
 * Column wires of one row set by where they come from; with no wires at all there are still the row ids. `twin` names the map
 * that stands for others that make the same.
 */
export const lanesFor = (
  layout: Layout,
  wires: Readonly<Record<string, Wire>>,
  twin: (map: PlanNode) => PlanNode = (map) => map
): ReadonlyArray<Lane> => {
  const groups = new Map<PlanNode | undefined, Record<string, string>>()
  for (const [input, wire] of Object.entries(wires)) {
    const { map, column } = layout.origin(wire)
    const from = map && twin(map)
    groups.set(from, { ...groups.get(from), [input]: column })
  }
  if (groups.size === 0) groups.set(undefined, {})
  return [...groups].map(([map, columns]) => ({ map, columns }))
}

/** Rows of stored shards are handed on in slices of this size. */
const sliceSize = 256

/** An artifact that the layout says is there: an earlier stage made it. */
export const artifactOf = (session: Session, node: PlanNode, shard: ShardRef, port: string) => {
  const { keys, store } = session
  const where: Where = { node: node.id, shard: keys.shardName(shard) }
  return Effect.flatMap(storing(where)(store.open(keys.taskKeys(node, shard)[port]!)), (artifact) =>
    artifact === undefined
      ? Effect.fail(brokenPromise(where, `rows of port ${port} have gone from the store during the run`))
      : Effect.succeed(artifact)
  )
}

/** The stored rows of an artifact, in order. */
export const storedBatches = (where: Where, artifact: CommittedArtifact): Stream.Stream<Batch, NodeError> =>
  Stream.unwrap(
    Effect.map(openDataset([artifact], { cache_bytes: 0 }), (dataset) =>
      Stream.fromIterable(dataset.shardRows.keys()).pipe(
        Stream.mapEffect((index) => storing(where)(dataset.shard(index))),
        Stream.flatMap((shard) => Stream.fromIterable(slices(shard)))
      )
    )
  )

const slices = (batch: Batch): ReadonlyArray<Batch> =>
  Array.from({ length: Math.ceil(batch.numRows / sliceSize) }, (_, i) =>
    sliceRows(batch, i * sliceSize, Math.min((i + 1) * sliceSize, batch.numRows))
  )

/** A row set's own rows as its owner's task stored them. */
export const storedRows = (session: Session, shard: ShardRef): Stream.Stream<Arrival, NodeError> => {
  const { owner, port } = session.layout.rowSet(shard.rowSet)
  const where: Where = { node: owner.id, shard: session.keys.shardName(shard) }
  return Stream.unwrap(
    Effect.map(artifactOf(session, owner, session.keys.parentShard(shard), port), (artifact) =>
      Stream.map(storedBatches(where, artifact), (batch) => ({ batch, rejected: [] }))
    )
  )
}

/** A source's rows with their ids. A rejected row keeps its place in the count, so ids don't depend on what could be read. */
export const sourceRows = <R>(session: Session, shard: ShardRef): Stream.Stream<Arrival, NodeError, R> => {
  const { owner } = session.layout.rowSet(shard.rowSet)
  const source = session.sources.get(owner.id)!
  const key = session.keys.shardName(shard)
  const where: Where = { node: owner.id, shard: key }
  const columns = [...new Set(Object.values(owner.ports).flatMap(Object.keys))]
  let start = 0
  const read = source.read as (shard: number) => Stream.Stream<SourceBatch, NodeError, R>
  const batches = readSource(where, session.settings.call_timeout, () => read(shard.index))
  const arrivals = Stream.transformPull(batches, (pull) => Effect.succeed(session.recorder.timed(owner.id, pull))).pipe(
    Stream.mapEffect((read) =>
      Effect.suspend(() => {
        const from = start
        start += read.batch.numRows + read.rejected.length
        return arrival(where, key, read, from, start, columns)
      })
    )
  )
  const said = source.shards[shard.index]!.rows
  const checked = Effect.suspend(() =>
    said === undefined || said === start
      ? Effect.succeed(Stream.empty)
      : Effect.fail(brokenPromise(where, `gave ${start} rows of a shard that it says has ${said}`))
  )
  return Stream.concat(arrivals, Stream.unwrap(checked))
}

const arrival = (
  where: Where,
  key: string,
  { batch, rejected }: SourceBatch,
  start: number,
  end: number,
  columns: ReadonlyArray<string>
): Effect.Effect<Arrival, NodeError> => {
  const missing = columns.find((column) => batch.getChild(column) === null)
  if (missing !== undefined && batch.numRows > 0)
    return Effect.fail(brokenPromise(where, `a batch has no column ${missing}`))
  const bad = new Set(rejected.map(({ row }) => row))
  const outside = rejected.find(({ row }) => row < start || row >= end)
  if (outside !== undefined || bad.size < rejected.length) {
    const detail = `rejected row ${outside?.row ?? "twice"} in the batch of rows ${start} to ${end - 1}`
    return Effect.fail(brokenPromise(where, detail))
  }
  const ids = sourceRowIds(key, start, end - start)
  const all = makeBatch({ row_id: rowIdVector(ids) })
  const given =
    bad.size === 0
      ? all
      : takeRows(
          all,
          countFrom(0, end - start).filter((i) => !bad.has(start + i))
        )
  const row_id = columnOf(given, "row_id")
  const own = batch.numRows === 0 ? [] : columns.map((column) => [column, columnOf(batch, column)])
  return Effect.succeed({
    batch: makeBatch({ row_id, ...Object.fromEntries(own) }),
    rejected: rejected.map(({ row, code, reason }) => ({
      row_id: rowIdHex(ids, row - start),
      shard: key,
      row,
      code,
      reason
    }))
  })
}

/**
 * A map's stored columns, laid beside the row set's rows as those come by: both are in the same order, and the map may lack
 * some rows.
 */
export interface Beside {
  /** The map's rows among these, which come after those of the call before. */
  readonly among: (rows: Rows) => Effect.Effect<ReadonlyArray<Rows>, NodeError>
}

export const besideRows = Effect.fnUntraced(function* (session: Session, map: PlanNode, shard: ShardRef) {
  const where: Where = { node: map.id, shard: session.keys.shardName(shard) }
  const artifact = yield* artifactOf(session, map, shard, mapPort)
  const pull = yield* Stream.toPull(storedBatches(where, artifact))
  const next = Pull.catchDone(pull, () => Effect.succeed([]))
  let waiting: ReadonlyArray<Batch> = []
  let row = 0
  const among = Effect.fnUntraced(function* ({ positions, batch }: Rows) {
    const ids = rowIdsOf(batch)
    const found: Array<Rows> = []
    for (let i = 0; i < positions.length;) {
      if (waiting.length === 0) waiting = yield* next
      const block = waiting[0]
      if (block === undefined) break
      const blockIds = rowIdsOf(block)
      const picked: Array<number> = []
      const at: Array<number> = []
      for (; i < positions.length && row < block.numRows; i++) {
        if (!sameId(ids, i, blockIds, row)) continue
        picked.push(row++)
        at.push(positions[i]!)
      }
      if (picked.length > 0)
        found.push({ positions: Int32Array.from(at), batch: takeRows(block, Int32Array.from(picked)) })
      if (row < block.numRows) continue
      waiting = waiting.slice(1)
      row = 0
    }
    return found
  })
  const beside: Beside = { among }
  return beside
})

const sameId = (a: Uint8Array, rowA: number, b: Uint8Array, rowB: number): boolean => {
  for (let i = 0; i < rowIdBytes; i++) if (a[rowA * rowIdBytes + i] !== b[rowB * rowIdBytes + i]) return false
  return true
}

/** Stored columns of one shard laid side by side, for folds: the rows that every map among them kept. */
export const joinedRows = (
  session: Session,
  shard: ShardRef,
  lanes: ReadonlyArray<Lane>
): Stream.Stream<Batch, NodeError> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const inbox = new Inbox(
        lanes.map(({ columns }) => columns),
        undefined
      )
      const driver = yield* driverOf(session, shard, lanes)
      const beside = new Map<number, Beside>()
      for (const [number, { map }] of lanes.entries()) {
        if (map !== undefined && map !== driver.map) beside.set(number, yield* besideRows(session, map, shard))
      }
      let position = 0
      const join = Effect.fnUntraced(function* (batch: Batch) {
        const rows = { batch, positions: countFrom(position, batch.numRows) }
        position += batch.numRows
        for (const [number, { map }] of lanes.entries()) {
          const found = map === driver.map ? [rows] : yield* beside.get(number)!.among(rows)
          for (const some of found) inbox.offer(number, some, 0)
          inbox.offer(number, undefined, position)
        }
        const group = inbox.take(false)
        return group === undefined ? [] : [group.batch]
      })
      return driver.batches.pipe(
        Stream.mapEffect(join),
        Stream.flatMap((batches) => Stream.fromIterable(batches))
      )
    })
  )

/** The part whose rows lead: the row set's own, or a map's that has all of them, which may spare reading images. */
const driverOf = Effect.fnUntraced(function* (session: Session, shard: ShardRef, lanes: ReadonlyArray<Lane>) {
  const { owner, port } = session.layout.rowSet(shard.rowSet)
  const where: Where = { node: owner.id, shard: session.keys.shardName(shard) }
  const base = yield* artifactOf(session, owner, session.keys.parentShard(shard), port)
  if (lanes.every(({ map }) => map !== undefined)) {
    for (const { map } of lanes) {
      const artifact = yield* artifactOf(session, map!, shard, mapPort)
      if (countsOf(artifact).rows === countsOf(base).rows) return { map, batches: storedBatches(where, artifact) }
    }
  }
  return { map: undefined, batches: storedBatches(where, base) }
})
