/** Inference with weights of 8 bits, against the integers of ONNX's definition of DynamicQuantizeLinear. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import * as fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { makeOnnxExecutor } from "../src/index.ts"
import type { Executor, HostTensor, Program } from "../src/index.ts"
import { int8Levels, quantized } from "../src/onnx/Int8.ts"
import { float32, numbersFrom, open } from "./CompareExecutors.ts"

let executor: Executor
let close: () => Promise<void>
beforeAll(async () => ({ executor, close } = await open(makeOnnxExecutor({ threads: 1, precision: "int8" }))))
afterAll(() => close())

const [M, K, N] = [5, 96, 64]
const linear: Program = {
  name: "linear",
  weights: ["weight", "bias"],
  run: ({ weight, bias }, { x }) => ({ y: tf.add(tf.matMul(x!, weight!, false, true), bias!) })
}

const roundEven = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))

/** x in steps of its range, as the definition has it. */
const asBytes = (x: Float32Array) => {
  const [low, high] = [Math.min(0, ...x), Math.max(0, ...x)]
  const scale = Math.fround((high - low) / 255)
  const zero = Math.min(255, Math.max(0, roundEven(-low / scale)))
  return { scale, zero, values: Array.from(x, (each) => Math.min(255, Math.max(0, roundEven(each / scale) + zero))) }
}

const expected = (x: Float32Array, weight: Float32Array, bias: Float32Array): Float32Array => {
  const left = asBytes(x)
  const y = new Float32Array(M * N)
  for (let n = 0; n < N; n++) {
    const row = weight.subarray(n * K, (n + 1) * K)
    const scale = row.reduce((most, each) => Math.max(most, Math.abs(each)), 0) / int8Levels()
    for (let m = 0; m < M; m++) {
      let sum = 0
      for (let k = 0; k < K; k++) sum += (left.values[m * K + k]! - left.zero) * Math.round(row[k]! / scale)
      y[m * N + n] = sum * left.scale * scale + bias[n]!
    }
  }
  return y
}

describe("precision int8", () => {
  it("is named among what fixes a result's bits", () => {
    expect(executor.numerics).toMatch(/ threads=1 int8 \((63|127)\)$/)
  })

  it("computes a product with a weight as its integers say", async () => {
    const next = numbersFrom(3)
    const weights = { weight: float32([N, K], next, -1, 1), bias: float32([N], next, -1, 1) }
    const inputs = [float32([M, K], next, -2, 3), float32([M, K], next, 0, 1)]
    const work = Effect.gen(function* () {
      const loaded = yield* executor.load(weights)
      return yield* Effect.forEach(inputs, (x) => loaded.run(linear, { x }))
    })
    const found = await Effect.runPromise(Effect.scoped(work))
    const floats = ({ data }: HostTensor) => data as Float32Array
    found.forEach(({ y }, i) => {
      const wanted = expected(floats(inputs[i]!), floats(weights.weight), floats(weights.bias))
      // Bytes at the middle of two steps go either way.
      wanted.forEach((value, place) => expect(Math.abs(floats(y!)[place]! - value)).toBeLessThan(0.02))
      const error = wanted.reduce((sum, value, place) => sum + Math.abs(floats(y!)[place]! - value), 0) / wanted.length
      expect(error).toBeLessThan(1e-3)
    })
  })

  it("leaves products of other things, and narrow weights, as they are", async () => {
    const next = numbersFrom(4)
    const weights = { narrow: float32([2, K], next, -1, 1) }
    const program: Program = {
      name: "exact",
      weights: ["narrow"],
      run: ({ narrow }, { x }) => ({
        head: tf.matMul(x!, narrow!, false, true),
        gram: tf.matMul(x!, x!, false, true)
      })
    }
    const x = float32([M, K], next, -2, 3)
    const work = Effect.flatMap(executor.load(weights), (loaded) => loaded.run(program, { x }))
    const { head, gram } = await Effect.runPromise(Effect.scoped(work))
    const dot = (a: ArrayLike<number>, i: number, b: ArrayLike<number>, j: number) =>
      Array.from({ length: K }, (_, k) => a[i * K + k]! * b[j * K + k]!).reduce((sum, each) => sum + each, 0)
    expect(head!.data[1]).toBeCloseTo(dot(x.data, 0, weights.narrow.data, 1), 3)
    expect(gram!.data[1]).toBeCloseTo(dot(x.data, 0, x.data, 1), 3)
  })
})

describe("quantized", () => {
  it("is within half a step of each weight, transposed", () => {
    const rows = fc.array(fc.float({ min: -4, max: 4, noNaN: true }), { minLength: 6, maxLength: 6 })
    fc.assert(
      fc.property(rows, (given) => {
        const weight = Float32Array.from(given)
        const { values, scales } = quantized(weight, 2, 127)
        for (const [out, scale] of scales.entries())
          for (let i = 0; i < 3; i++)
            expect(Math.abs(values[i * 2 + out]! * scale - weight[out * 3 + i]!)).toBeLessThanOrEqual(scale / 2 + 1e-6)
      })
    )
  })
})
