import { randomKey } from "@bootlace/models"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { lengthGroups, window } from "../../src/tensor/LengthGroups.ts"

const given = fc.record({ seed: fc.nat(), batch_size: fc.integer({ min: 2, max: 12 }) }).chain(({ seed, batch_size }) =>
  fc.record({
    seed: fc.constant(seed),
    batch_size: fc.constant(batch_size),
    lengths: fc.array(fc.integer({ min: 0, max: 40 }), {
      minLength: window * batch_size,
      maxLength: window * batch_size
    })
  })
)
const groupsOf = ({ seed, batch_size, lengths }: { seed: number; batch_size: number; lengths: Array<number> }) =>
  lengthGroups(lengths, batch_size, randomKey(seed, "groups"))

describe("lengthGroups", () => {
  it("takes each row of the window once, in full batches", () => {
    fc.assert(
      fc.property(given, (at) => {
        const groups = groupsOf(at)
        expect(groups.map((group) => group.length)).toEqual(Array(window).fill(at.batch_size))
        expect(groups.flatMap((group) => [...group]).toSorted((a, b) => a - b)).toEqual([...at.lengths.keys()])
      })
    )
  })

  it("no batch's lengths reach into another's", () => {
    fc.assert(
      fc.property(given, (at) => {
        const ranges = groupsOf(at)
          .map((group) => Array.from(group, (row) => at.lengths[row]!))
          .map((lengths) => [Math.min(...lengths), Math.max(...lengths)] as const)
          .toSorted(([a, b], [c, d]) => a - c || b - d)
        expect(ranges.slice(1).every(([shortest], i) => shortest >= ranges[i]![1])).toBe(true)
      })
    )
  })

  it("the batches' order is random, not by length", () => {
    const lengths = Array.from({ length: 2 * window }, (_, row) => row)
    const first = (seed: number) => groupsOf({ seed, batch_size: 2, lengths }).map(([row]) => row!)
    const orders = new Set(Array.from({ length: 20 }, (_, seed) => first(seed).join()))
    expect(orders.size).toBe(20)
  })
})
