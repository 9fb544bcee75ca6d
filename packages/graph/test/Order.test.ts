import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { topological } from "../src/check/Order.ts"

/** Edges that point to smaller numbers only: no cycle. */
const acyclic = fc.array(fc.array(fc.nat(30), { maxLength: 4 }), { maxLength: 30 }).map((rows) => {
  const reads = new Map(rows.map((row, i) => [`n${i}`, row.filter((j) => j < i).map((j) => `n${j}`)]))
  return { ids: [...reads.keys()], reads: (id: string) => reads.get(id)! }
})

describe("topological", () => {
  it("puts every node after those it reads, whatever order they are given in", () => {
    fc.assert(
      fc.property(acyclic, fc.infiniteStream(fc.nat()), ({ ids, reads }, numbers) => {
        const { order, cycle } = topological(ids, reads)
        const shuffled = ids.map((id) => [numbers.next().value as number, id] as const).sort(([a], [b]) => a - b)
        expect(cycle).toBeUndefined()
        expect(order).toHaveLength(ids.length)
        for (const id of ids) for (const read of reads(id)) expect(order.indexOf(read)).toBeLessThan(order.indexOf(id))
        expect(
          topological(
            shuffled.map(([, id]) => id),
            reads
          ).order
        ).toEqual(order)
      })
    )
  })

  it("finds a cycle and orders what doesn't wait for it", () => {
    const reads: Readonly<Record<string, ReadonlyArray<string>>> = {
      a: [],
      b: ["c"],
      c: ["d", "a"],
      d: ["b"],
      e: ["d"],
      f: ["f"]
    }
    const { order, cycle } = topological(Object.keys(reads), (id) => reads[id]!)
    expect(order).toEqual(["a"])
    expect(cycle).toEqual(["b", "d", "c", "b"])
  })

  it("takes a node with many readers in stride", () => {
    const ids = Array.from({ length: 2_000 }, (_, i) => `n${i}`)
    const start = performance.now()
    expect(topological(ids, (id) => (id === "n0" ? [] : ["n0"])).order).toHaveLength(2_000)
    expect(performance.now() - start).toBeLessThan(500)
  })
})
