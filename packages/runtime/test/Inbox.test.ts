import { columnOf, floatsOf, makeBatch, rowIdVector, scoreColumn, sourceRowIds } from "@bootlace/data"
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Inbox } from "../src/Inbox.ts"
import type { Rows } from "../src/Inbox.ts"

const ids = sourceRowIds("shard", 0, 100)
const rowsOf = (positions: ReadonlyArray<number>, column: string): Rows => ({
  positions: Int32Array.from(positions),
  batch: makeBatch({
    row_id: rowIdVector(Uint8Array.from(positions.flatMap((at) => [...ids.subarray(at * 16, at * 16 + 16)]))),
    [column]: scoreColumn(Float32Array.from(positions))
  })
})

/** Positions cut into consecutive pieces at the given places. */
const cut = (length: number, cuts: ReadonlyArray<number>): ReadonlyArray<readonly [number, number]> => {
  const places = [...new Set([0, ...cuts.map((at) => at % (length + 1)), length])].sort((a, b) => a - b)
  return places.slice(1).map((end, i) => [places[i]!, end])
}

const lane = fc.record({
  cuts: fc.array(fc.nat(60), { maxLength: 12 }),
  rejected: fc.array(fc.nat(59), { maxLength: 20 })
})

describe("Inbox", () => {
  it("gives the same groups whatever the batches, in order and without the rows that a producer rejected", () => {
    fc.assert(
      fc.property(lane, lane, fc.integer({ min: 1, max: 9 }), fc.infiniteStream(fc.boolean()), (a, b, size, order) => {
        const length = 60
        const lanes = [a, b]
        const inbox = new Inbox([{ left: "x" }, { right: "x" }], size)
        const pieces = lanes.map(({ cuts }) => [...cut(length, cuts)])
        const groups: Array<Rows> = []
        const drain = (last: boolean): void => {
          for (let group = inbox.take(last); group !== undefined; group = inbox.take(last)) groups.push(group)
        }
        while (pieces.some((each) => each.length > 0)) {
          const which = order.next().value === true ? 0 : 1
          const lane = pieces[which]!.length > 0 ? which : 1 - which
          const [start, end] = pieces[lane]!.shift()!
          const kept = Array.from({ length: end - start }, (_, i) => start + i).filter(
            (at) => !lanes[lane]!.rejected.includes(at)
          )
          inbox.offer(lane, kept.length === 0 ? undefined : rowsOf(kept, "x"), end)
          drain(false)
        }
        inbox.offer(0, undefined, Infinity)
        inbox.offer(1, undefined, Infinity)
        drain(true)
        const expected = Array.from({ length }, (_, at) => at).filter(
          (at) => !lanes.some(({ rejected }) => rejected.includes(at))
        )
        assert.deepStrictEqual(
          groups.flatMap(({ positions }) => [...positions]),
          expected
        )
        for (const { positions, batch } of groups) {
          assert.deepStrictEqual([...floatsOf(columnOf(batch, "left"))], [...positions])
          assert.deepStrictEqual([...floatsOf(columnOf(batch, "right"))], [...positions])
        }
        assert.isTrue(groups.slice(0, -1).every(({ positions }) => positions.length === size))
        assert.isTrue(inbox.waiting >= (expected.at(-1) ?? -1))
      }),
      { numRuns: 300 }
    )
  })

  it("hands a batch on as it is when it fits", () => {
    const inbox = new Inbox([{ x: "x" }], undefined)
    const rows = rowsOf([0, 1, 2], "x")
    inbox.offer(0, rows, 3)
    assert.strictEqual(
      columnOf(inbox.take(false)!.batch, "x").data[0]!.values,
      columnOf(rows.batch, "x").data[0]!.values
    )
    assert.isUndefined(inbox.take(true))
  })
})
