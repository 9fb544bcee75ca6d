/** A gradient of words that comes from several places, against eager, which adds tensors as large as the vocabulary's. */
import { describe, expect, it } from "vitest"
import { makeEagerExecutor, makeOnnxExecutor } from "../src/index.ts"
import { distance } from "./CompareExecutors.ts"
import { D, tiedGradients, tiedGraph, V } from "./TiedWords.ts"

describe("rows added into a tensor", () => {
  it.each([1, 2])("give the gradients of eager at %i threads", async (threads) => {
    const actual = await tiedGradients(makeOnnxExecutor({ threads }) as never)
    const expected = await tiedGradients(makeEagerExecutor() as never)
    expect(distance(actual.gradients, expected.gradients)).toBeLessThan(1e-5)
    expect(actual.losses.head_loss).toBeCloseTo(expected.losses.head_loss!, 5)
  })

  it("are the only sums as large as the table", () => {
    const large = tiedGraph().values.filter(({ op, shape }) => op !== "Input" && shape.join() === `${V},${D}`)
    expect(large.map(({ op, inputs }) => [op, inputs.length])).toEqual([
      ["MatMul", 2],
      ["ScatterAdd", 3],
      ["ScatterAdd", 3]
    ])
  })
})
