/** A frozen tower has no backward pass in the captured step: its weights cost no gradient, and nothing flows through it. */
import * as tf from "@tensorflow/tfjs-core"
import { describe, expect, it } from "vitest"
import type { Specs, Tensors, TrainingProgram } from "../src/index.ts"
import { stepGraph } from "../src/Compile.ts"

const depth = 3
const width = 4
const towerOf = (name: string): ReadonlyArray<string> => Array.from({ length: depth }, (_, i) => `${name}.${i}`)
const specsOf = (names: ReadonlyArray<string>): Specs =>
  Object.fromEntries(names.map((name) => [name, { shape: [width, width], dtype: "float32" }]))

const pass = (weights: Tensors, name: string, x: tf.Tensor): tf.Tensor =>
  towerOf(name).reduce((at, weight) => tf.relu(tf.matMul(at, weights[weight]!)), x)

const productsWith = (frozen: ReadonlyArray<string>): number => {
  const all = [...towerOf("image"), ...towerOf("text")]
  const trained = all.filter((name) => !frozen.includes(name))
  const program: TrainingProgram = {
    name: "two towers",
    weights: trained,
    frozen,
    twin: [],
    state: {},
    run: ({ weights, inputs }) => {
      const apart = tf.sub(pass(weights, "image", inputs.image!), pass(weights, "text", inputs.text!))
      return { losses: { loss: tf.mean(tf.mul(apart, apart)) }, outputs: {} }
    }
  }
  const rows = { shape: [8, width], dtype: "float32" } as const
  const specs = { weights: specsOf(trained), frozen: specsOf(frozen), twin: {}, ema: {}, state: {} }
  const { values } = stepGraph(program, specs, { image: rows, text: rows }, 0)
  return values.filter(({ op }) => op === "MatMul").length
}

describe("a frozen tower", () => {
  it("is computed forward only", () => {
    // A layer has a product forward, one for its weight's gradient, and one for what flows on: the first layer has no such.
    const trained = 3 * depth - 1
    expect(productsWith([])).toBe(2 * trained)
    expect(productsWith(towerOf("image"))).toBe(depth + trained)
    // Below the lowest trained weight nothing flows either.
    expect(productsWith(towerOf("image").slice(0, 2))).toBe(depth + 1 + trained)
  })
})
