import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { rowOrder } from "../../src/tensor/RowOrder.ts"

const sizes = fc.record({
  seed: fc.nat(),
  num_rows: fc.integer({ min: 1, max: 60 }),
  batch_size: fc.integer({ min: 2, max: 40 })
})

describe("rowOrder", () => {
  it("shows every row once in each pass, in full batches", () => {
    fc.assert(
      fc.property(sizes, ({ seed, num_rows, batch_size }) => {
        const order = rowOrder({ seed, stream: "train.pairs", num_rows, batch_size })
        const steps = Array.from({ length: 12 }, (_, step) => order.rowsOf(step))
        expect(steps.every((rows) => rows.length === batch_size)).toBe(true)
        const all = steps.flatMap((rows) => [...rows])
        for (let epoch = 0; (epoch + 1) * num_rows <= all.length; epoch++) {
          const pass = all.slice(epoch * num_rows, (epoch + 1) * num_rows)
          expect(pass.toSorted((a, b) => a - b)).toEqual([...Array(num_rows).keys()])
        }
      })
    )
  })

  it("is a function of the step alone, whatever was asked before", () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.nat({ max: 50 }), { minLength: 1, maxLength: 8 }), (at, steps) => {
        const used = rowOrder({ ...at, stream: "s" })
        for (const step of steps) {
          expect(used.rowsOf(step)).toEqual(rowOrder({ ...at, stream: "s" }).rowsOf(step))
        }
      })
    )
  })

  it("differs by seed, stream and pass", () => {
    const first = (seed: number, stream: string, step: number) =>
      rowOrder({ seed, stream, num_rows: 50, batch_size: 50 }).rowsOf(step)
    expect(first(1, "a", 0)).not.toEqual(first(2, "a", 0))
    expect(first(1, "a", 0)).not.toEqual(first(1, "b", 0))
    expect(first(1, "a", 0)).not.toEqual(first(1, "a", 1))
  })
})
