/** Attention with its scale as the products' own factor, against eager, which multiplies. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { Executor, Optimizer, TrainingProgram } from "../src/index.ts"
import { makeEagerExecutor, makeOnnxExecutor } from "../src/index.ts"
import { specsOf } from "../src/HostTensors.ts"
import { leanStepGraph, stepGraph } from "../src/Compile.ts"
import { distance, float32, numbersFrom } from "./CompareExecutors.ts"

const shapes: ReadonlyArray<ReadonlyArray<number>> = [
  [2, 3, 5, 4],
  [1, 2, 7, 3],
  [3, 1, 2, 8]
]
const weightsOf = (shape: ReadonlyArray<number>) => {
  const next = numbersFrom(shape[2]!)
  return { q: float32(shape, next), k: float32(shape, next), v: float32(shape, next) }
}
const optimizer: Optimizer = { betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0, decays: () => false }

const program: TrainingProgram = {
  name: "attention",
  weights: ["q", "k", "v"],
  twin: [],
  state: {},
  run: ({ weights: { q, k, v } }) => {
    const scores = tf.matMul(tf.mul(q!, 1 / Math.sqrt(q!.shape[3]!)), k!, false, true)
    const doubled = tf.mul(tf.matMul(tf.softmax(scores), v!), 2)
    // A product that is read as it is too keeps its multiple apart.
    return {
      losses: { loss: tf.sum(tf.square(doubled)), read: tf.sum(tf.mul(scores, tf.add(scores, tf.mul(scores, 3)))) },
      outputs: {}
    }
  }
}

const gradients = (make: Effect.Effect<Executor, unknown, never>, shape: ReadonlyArray<number>) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* (yield* make).load(weightsOf(shape))
        const trainer = yield* model.train(program, optimizer, { _tag: "Fresh", state: {} })
        return (yield* trainer.gradients({})).gradients
      })
    )
  )

describe("a factor of a product", () => {
  it.each(shapes.flatMap((shape) => [1, 2].map((threads) => [shape, threads] as const)))(
    "gives the gradients of eager for %j at %i threads",
    async (shape, threads) => {
      const actual = await gradients(makeOnnxExecutor({ threads }) as never, shape)
      expect(distance(actual, await gradients(makeEagerExecutor() as never, shape))).toBeLessThan(1e-5)
    }
  )

  it("is the product's own, forward and backward", () => {
    const own = { weights: specsOf(weightsOf(shapes[0]!)), frozen: {}, twin: {}, ema: {}, state: {} }
    const scaled = (graph: ReturnType<typeof stepGraph>) =>
      graph.values.filter(({ attributes }) => attributes.alpha !== undefined).map(({ attributes }) => attributes.alpha)
    expect(scaled(stepGraph(program, own, {}, 1))).toEqual([])
    const lean = leanStepGraph(program, own, {}, 1)
    expect(scaled(lean).filter((alpha) => alpha === 0.5)).toHaveLength(3)
    const multiples = lean.values.filter(({ op, inputs }) => op === "Mul" && inputs[1]!.attributes.value === 3)
    expect(multiples.map(({ inputs }) => inputs[0]!.op)).toContain("MatMul")
  })
})
