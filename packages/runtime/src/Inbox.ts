/**
 * Inbox: the rows on their way into one node of a chain, regrouped.
 *
 * A node may read columns from several producers (the row set itself, maps before it), and each of them may have rejected
 * rows and emits at its own pace. A row is complete once every producer has passed its position in the shard; only complete
 * rows that no producer rejected are handed on, in order, in groups of exactly `size` rows (the last may be shorter). So the
 * groups depend on the rows alone, never on the batches in which they arrived.
 */
import type { Batch } from "@bootlace/graph"
import { columnOf, gatherSpans, makeBatch, selectColumns, sliceRows } from "@bootlace/data"
import type { RowSpan } from "@bootlace/data"

/** Some rows of a shard: their positions in it, ascending, and columns for them. */
export interface Rows {
  readonly positions: Int32Array
  readonly batch: Batch
}

/** Positions of rows that stand one after the other. */
export const countFrom = (start: number, length: number): Int32Array => {
  const positions = new Int32Array(length)
  for (let row = 0; row < length; row++) positions[row] = start + row
  return positions
}

interface Lane {
  readonly queue: Array<Rows>
  /** First row of `queue[0]` that is not handed on yet. */
  next: number
  /** Every row before this position has arrived or was rejected. */
  reached: number
}

/** Picked rows of one lane, and where the next would be; a span's chunk is a piece of the queue. */
interface Picks {
  readonly spans: Array<RowSpan>
  piece: number
  row: number
}

export class Inbox {
  readonly #columns: ReadonlyArray<Readonly<Record<string, string>>>
  readonly #lanes: ReadonlyArray<Lane>
  readonly #size: number | undefined

  /** Per producer the columns read from it, `{ input: column }`; `size` undefined: any group is as good as another. */
  constructor(columns: ReadonlyArray<Readonly<Record<string, string>>>, size: number | undefined) {
    this.#columns = columns.map((each) => ({ row_id: "row_id", ...each }))
    this.#lanes = columns.map(() => ({ queue: [], next: 0, reached: 0 }))
    this.#size = size
  }

  /** Rows from a producer, who has passed every position before `reached`. */
  offer(producer: number, rows: Rows | undefined, reached: number): void {
    const lane = this.#lanes[producer]!
    if (rows !== undefined && rows.positions.length > 0) {
      const batch = selectColumns(rows.batch, this.#columns[producer]!)
      lane.queue.push({ positions: rows.positions, batch })
    }
    lane.reached = Math.max(lane.reached, reached)
  }

  /** It hands on groups of a size. */
  get isGrouped(): boolean {
    return this.#size !== undefined
  }

  /** No row before this position will be handed on any more. */
  get waiting(): number {
    return Math.max(...this.#lanes.map((lane) => lane.queue[0]?.positions[lane.next] ?? lane.reached))
  }

  /** The next group, or undefined until there are rows for one; `last` gives a short group too. */
  take(last: boolean): Rows | undefined {
    if (this.#lanes.some(({ queue }) => queue.length === 0)) return undefined
    const whole = this.#wholePiece()
    if (whole !== undefined) return whole
    const { count, picks } = this.#match()
    if (count === 0 || (this.#size !== undefined && count < this.#size && !last)) return undefined
    const positions = positionsOf(this.#lanes[0]!, picks[0]!, count)
    const batches = this.#lanes.map((lane, producer) => joined(lane, picks[producer]!))
    this.#lanes.forEach((lane, producer) => {
      lane.queue.splice(0, picks[producer]!.piece)
      lane.next = picks[producer]!.row
    })
    return { positions, batch: merged(batches) }
  }

  /** The first piece as it is, where nothing has to be matched or cut. */
  #wholePiece(): Rows | undefined {
    const { queue, next, reached } = this.#lanes[0]!
    if (this.#lanes.length > 1 || next > 0) return undefined
    const { positions } = queue[0]!
    const { length } = positions
    return (this.#size ?? length) === length && positions[length - 1]! < reached ? queue.shift() : undefined
  }

  /** Walks all lanes at once and picks rows that stand in every one of them. */
  #match(): { readonly count: number; readonly picks: ReadonlyArray<Picks> } {
    const lanes = this.#lanes
    const until = Math.min(...lanes.map((lane) => lane.reached))
    const limit = this.#size ?? Infinity
    const picks = lanes.map((lane): Picks => ({ spans: [], piece: 0, row: lane.next }))
    let count = 0
    while (count < limit) {
      let furthest = -1
      for (const [producer, lane] of lanes.entries()) furthest = Math.max(furthest, positionAt(lane, picks[producer]!))
      if (furthest >= until) break
      for (const [producer, lane] of lanes.entries())
        while (positionAt(lane, picks[producer]!) < furthest) advance(lane, picks[producer]!, 1)
      const rows = this.#together(picks, until, limit - count)
      for (const [producer, lane] of lanes.entries()) pick(lane, picks[producer]!, rows)
      count += rows
    }
    return { count, picks }
  }

  /** In how many rows from here on, and in the same pieces, all lanes have the same positions. */
  #together(picks: ReadonlyArray<Picks>, until: number, limit: number): number {
    const lanes = this.#lanes.map((lane, producer) => ({
      positions: lane.queue[picks[producer]!.piece]?.positions ?? noPositions,
      row: picks[producer]!.row
    }))
    const [first, ...others] = lanes
    let rows = Math.min(limit, ...lanes.map(({ positions, row }) => positions.length - row))
    while (rows > 0 && first!.positions[first!.row + rows - 1]! >= until) rows -= 1
    for (const { positions, row } of others) {
      if (positions === first!.positions && row === first!.row) continue
      let same = 0
      while (same < rows && positions[row + same] === first!.positions[first!.row + same]) same += 1
      rows = same
    }
    return rows
  }
}

const noPositions = new Int32Array(0)

const positionAt = (lane: Lane, at: Picks): number => lane.queue[at.piece]?.positions[at.row] ?? Infinity

const advance = (lane: Lane, at: Picks, rows: number): void => {
  at.row += rows
  if (at.row < lane.queue[at.piece]!.positions.length) return
  at.piece += 1
  at.row = 0
}

const pick = (lane: Lane, at: Picks, rows: number): void => {
  if (rows === 0) return
  const { piece: chunk, row: start, spans } = at
  const before = spans.at(-1)
  if (before?.chunk === chunk && before.end === start) spans[spans.length - 1] = { ...before, end: start + rows }
  else spans.push({ chunk, start, end: start + rows })
  advance(lane, at, rows)
}

const positionsOf = ({ queue }: Lane, { spans }: Picks, count: number): Int32Array => {
  const parts = spans.map(({ chunk, start, end }) => queue[chunk]!.positions.subarray(start, end))
  if (parts.length === 1 && count === queue[spans[0]!.chunk]!.positions.length) return queue[spans[0]!.chunk]!.positions
  const positions = new Int32Array(count)
  let at = 0
  for (const part of parts) {
    positions.set(part, at)
    at += part.length
  }
  return positions
}

/** The picked rows as one batch; what stands together in a piece is not copied. */
const joined = ({ queue }: Lane, { spans }: Picks): Batch => {
  const [{ chunk, start, end }] = spans as [RowSpan]
  const { batch } = queue[chunk]!
  if (spans.length === 1) return end - start === batch.numRows ? batch : sliceRows(batch, start, end)
  const last = spans.at(-1)!.chunk
  return gatherSpans(
    queue.slice(chunk, last + 1).map((rows) => rows.batch),
    spans.map((span) => ({ ...span, chunk: span.chunk - chunk }))
  )
}

const merged = (batches: ReadonlyArray<Batch>): Batch => {
  if (batches.length === 1) return batches[0]!
  const columns = batches.flatMap((batch) =>
    batch.schema.fields.map((field) => [field.name, columnOf(batch, field.name)])
  )
  return makeBatch(Object.fromEntries(columns))
}
