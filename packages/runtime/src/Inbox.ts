/**
 * Inbox: the rows on their way into one node of a chain, regrouped.
 *
 * A node may read columns from several producers (the row set itself, maps before it), and each of them may have rejected
 * rows and emits at its own pace. A row is complete once every producer has passed its position in the shard; only complete
 * rows that no producer rejected are handed on, in order, in groups of exactly `size` rows (the last may be shorter). So the
 * groups depend on the rows alone, never on the batches in which they arrived.
 */
import type { Batch } from "@bootlace/graph"
import { columnOf, gatherRows, makeBatch, selectColumns } from "@bootlace/data"

/** Some rows of a shard: their positions in it, ascending, and columns for them. */
export interface Rows {
  readonly positions: Int32Array
  readonly batch: Batch
}

interface Lane {
  readonly queue: Array<Rows>
  /** First row of `queue[0]` that is not handed on yet. */
  next: number
  /** Every row before this position has arrived or was rejected. */
  reached: number
}

/** Picked rows of one lane: row `rows[i]` of the queue's piece `pieces[i]`. */
interface Picks {
  readonly pieces: Array<number>
  readonly rows: Array<number>
  piece: number
  row: number
}

export class Inbox {
  readonly #columns: ReadonlyArray<Readonly<Record<string, string>>>
  readonly #lanes: ReadonlyArray<Lane>
  readonly #size: number | undefined

  /** Per producer the columns read from it, `{ input: column }`; `size` undefined: any group is as good as another. */
  constructor(columns: ReadonlyArray<Readonly<Record<string, string>>>, size: number | undefined) {
    this.#columns = columns
    this.#lanes = columns.map(() => ({ queue: [], next: 0, reached: 0 }))
    this.#size = size
  }

  /** Rows from a producer, who has passed every position before `reached`. */
  offer(producer: number, rows: Rows | undefined, reached: number): void {
    const lane = this.#lanes[producer]!
    if (rows !== undefined && rows.positions.length > 0) {
      const batch = selectColumns(rows.batch, { row_id: "row_id", ...this.#columns[producer] })
      lane.queue.push({ positions: rows.positions, batch })
    }
    lane.reached = Math.max(lane.reached, reached)
  }

  /** No row before this position will be handed on any more. */
  get waiting(): number {
    return Math.max(...this.#lanes.map((lane) => lane.queue[0]?.positions[lane.next] ?? lane.reached))
  }

  /** The next group, or undefined until there are rows for one; `last` gives a short group too. */
  take(last: boolean): Rows | undefined {
    const picks = this.#match()
    const count = picks[0]!.rows.length
    if (count === 0 || (this.#size !== undefined && count < this.#size && !last)) return undefined
    const first = this.#lanes[0]!
    const positions = Int32Array.from(picks[0]!.rows, (row, i) => first.queue[picks[0]!.pieces[i]!]!.positions[row]!)
    const batches = this.#lanes.map((lane, producer) => joined(lane, picks[producer]!))
    this.#lanes.forEach((lane, producer) => {
      lane.queue.splice(0, picks[producer]!.piece)
      lane.next = picks[producer]!.row
    })
    return { positions, batch: merged(batches) }
  }

  /** Walks all lanes at once and picks rows that stand in every one of them. */
  #match(): ReadonlyArray<Picks> {
    const until = Math.min(...this.#lanes.map((lane) => lane.reached))
    const limit = this.#size ?? Infinity
    const picks = this.#lanes.map((lane): Picks => ({ pieces: [], rows: [], piece: 0, row: lane.next }))
    while (picks[0]!.rows.length < limit) {
      let furthest = -1
      for (const [producer, lane] of this.#lanes.entries()) {
        const position = positionAt(lane, picks[producer]!)
        if (position >= until) return picks
        furthest = Math.max(furthest, position)
      }
      let equal = true
      for (const [producer, lane] of this.#lanes.entries()) {
        const pick = picks[producer]!
        let position = positionAt(lane, pick)
        while (position < furthest) {
          advance(lane, pick)
          position = positionAt(lane, pick)
        }
        equal &&= position === furthest
      }
      if (!equal) continue
      for (const [producer, lane] of this.#lanes.entries()) {
        const pick = picks[producer]!
        pick.pieces.push(pick.piece)
        pick.rows.push(pick.row)
        advance(lane, pick)
      }
    }
    return picks
  }
}

const positionAt = (lane: Lane, pick: Picks): number => lane.queue[pick.piece]?.positions[pick.row] ?? Infinity

const advance = (lane: Lane, pick: Picks): void => {
  pick.row++
  if (pick.row < lane.queue[pick.piece]!.positions.length) return
  pick.piece++
  pick.row = 0
}

/** The picked rows as one batch; a piece that is picked as a whole is not copied. */
const joined = (lane: Lane, picks: Picks): Batch => {
  const first = picks.pieces[0]!
  const whole = lane.queue[first]!.batch
  const isWhole = picks.pieces.at(-1) === first && picks.rows.length === whole.numRows
  if (isWhole) return whole
  const last = picks.pieces.at(-1)!
  const batches = lane.queue.slice(first, last + 1).map((rows) => rows.batch)
  return gatherRows(
    batches,
    Int32Array.from(picks.pieces, (piece) => piece - first),
    Int32Array.from(picks.rows)
  )
}

const merged = (batches: ReadonlyArray<Batch>): Batch => {
  if (batches.length === 1) return batches[0]!
  const columns = batches.flatMap((batch) =>
    batch.schema.fields.map((field) => [field.name, columnOf(batch, field.name)])
  )
  return makeBatch(Object.fromEntries(columns))
}
