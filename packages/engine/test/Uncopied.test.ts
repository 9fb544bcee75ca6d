/** A run that writes over a tensor makes no second one of it. */
import * as tf from "@tensorflow/tfjs-core"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { describe, expect, it } from "vitest"
import { capture } from "../src/Capture.ts"
import { lower } from "../src/onnx/Lower.ts"
import { isUncopied, runUncopied } from "../src/onnx/Uncopied.ts"
import type { Graph } from "../src/Graph.ts"

const size = 1 << 22
const spec = { shape: [size], dtype: "float32" } as const

const twice: Graph = capture("twice", { "w:a": spec }, ({ "w:a": a }) => ({
  "new:w:a": tf.mul(a!, 2),
  "l:first": tf.sum(tf.slice(a!, [0], [1]))
}))

const buffersOf = (data: Float32Array, first: Float32Array) => ({
  "new:w:a": new Tensor("float32", data, [size]),
  "l:first": new Tensor("float32", first, [])
})

describe("a run that writes over a tensor", () => {
  it("leaves its results in the buffers and no copy", async () => {
    expect(isUncopied(twice.outputs, "cpu")).toBe(true)
    const session = await InferenceSession.create(lower(twice).model)
    const [data, first] = [new Float32Array(size).fill(3), new Float32Array(1)]
    const buffers = buffersOf(data, first)
    const before = process.memoryUsage().arrayBuffers
    for (let run = 0; run < 3; run++) await runUncopied(session, { "w:a": buffers["new:w:a"] }, buffers)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(size)
    expect([first[0], data[0], data[size - 1]]).toEqual([12, 24, 24])
    await session.release()
  })

  it("fails when the run does", async () => {
    const session = await InferenceSession.create(lower(twice).model)
    const buffers = buffersOf(new Float32Array(size), new Float32Array(1))
    const short = new Tensor("float32", new Float32Array(2), [2])
    await expect(runUncopied(session, { "w:a": short }, buffers)).rejects.toThrow(/invalid dimensions/i)
    await session.release()
  })
})
