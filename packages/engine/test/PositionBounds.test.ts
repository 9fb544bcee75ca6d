/** Positions that come from a caller are known by the input that they come in, however it is cut and turned on the way. */
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, it } from "vitest"
import { inferenceGraph } from "../src/Compile.ts"
import { checkPositions, positionBounds } from "../src/onnx/PositionBounds.ts"
import { program } from "./CompareExecutors.ts"

const ids = { shape: [2, 3], dtype: "int32" } as const
const flat = (tensor: tf.Tensor) => tf.reshape(tensor, [-1]) as tf.Tensor1D

const bounds = positionBounds(
  inferenceGraph(
    program(({ words, few }, { ids: all, rows, free }) => ({
      embedded: tf.gather(words!, flat(tf.slice(all!, [0, 1], [2, 2]))),
      again: tf.gather(few!, flat(tf.transpose(all!))),
      summed: tf.unsortedSegmentSum(tf.ones([6, 2]), flat(rows!), 200),
      not: tf.add(free!, 1)
    })),
    { words: { shape: [50, 4], dtype: "float32" }, few: { shape: [20, 4], dtype: "float32" } },
    { ids, rows: ids, free: ids }
  )
)
const given = (...numbers: ReadonlyArray<number>) => ({ ...ids, data: Int32Array.from(numbers) })

describe("positions that a device would not refuse", () => {
  it("are bound by the smallest tensor that they pick from", () => {
    expect(bounds).toEqual({ "x:ids": 20, "x:rows": 200 })
  })

  it("are refused by the input's name and the number", () => {
    expect(() => checkPositions(bounds, { "x:ids": given(0, 19, -20, 3, 4, 5), "x:free": given(999) })).not.toThrow()
    expect(() => checkPositions(bounds, { "x:ids": given(0, 20, 1, 3, 4, 5) })).toThrow(
      "input ids: 20 is out of data bounds [-20,19]"
    )
    expect(() => checkPositions(bounds, { "x:rows": given(0, -201) })).toThrow("-201 is out of data bounds [-200,199]")
  })
})
