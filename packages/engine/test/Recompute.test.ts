/** A step that computes activations twice is the step that keeps them. */
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { Executor, HostTensors, TrainingProgram } from "../src/index.ts"
import { makeEagerExecutor, makeOnnxExecutor } from "../src/index.ts"
import { capture } from "../src/Capture.ts"
import { gradientOrder } from "../src/GradientOrder.ts"
import { specsOf } from "../src/HostTensors.ts"
import { leanStepGraph } from "../src/Compile.ts"
import { recompute } from "../src/Recompute.ts"
import * as tf from "@tensorflow/tfjs-core"
import { distance } from "./CompareExecutors.ts"
import type { Sizes } from "./TinyProgram.ts"
import { embed, tinyInputs, tinyOptimizer, tinyProgram, tinyQueue, tinyWeights } from "./TinyProgram.ts"

const sizes: Sizes = { B: 4, T: 6, V: 140, D: 16, Q: 5 }
const low: TrainingProgram = { ...tinyProgram(sizes), memory: "low" }

const after = (make: Effect.Effect<Executor, unknown, never>, program: TrainingProgram) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* (yield* make).load(tinyWeights(sizes, 1))
        const trainer = yield* model.train(program, tinyOptimizer, { _tag: "Fresh", state: tinyQueue(sizes, 2) })
        const { gradients } = yield* trainer.gradients(tinyInputs(sizes, 3))
        for (const seed of [3, 4]) yield* trainer.step(tinyInputs(sizes, seed), 1e-2)
        return { gradients, ...(yield* trainer.snapshot) }
      })
    )
  )

const bytesOf = (tensors: HostTensors) => Object.entries(tensors).map(([name, { data }]) => [name, data] as const)

const graphOf = (program: TrainingProgram) => {
  const weights = specsOf(tinyWeights(sizes, 1))
  const twin = Object.fromEntries(program.twin.map((name) => [name, weights[name]!]))
  return leanStepGraph(
    program,
    { weights, frozen: {}, twin, ema: {}, state: program.state },
    specsOf(tinyInputs(sizes, 3)),
    0.9
  )
}

describe("activations computed again", () => {
  it.each([1, 2])("change no bit of a step, at %i threads", async (threads) => {
    const make = makeOnnxExecutor({ threads }) as never
    const [kept, again] = [await after(make, tinyProgram(sizes)), await after(make, low)]
    for (const part of ["gradients", "weights", "exp_avg", "exp_avg_sq", "twin"] as const)
      expect(bytesOf(again[part])).toEqual(bytesOf(kept[part]))
    const expected = await after(makeEagerExecutor() as never, low)
    expect(distance(again.gradients, expected.gradients)).toBeLessThan(1e-5)
    expect(distance(again.weights, expected.weights)).toBeLessThan(2e-5)
  })

  it("are the activation function's and the norm's, or all below a sum but what the function is given", () => {
    const count = (program: TrainingProgram, op: string) =>
      graphOf(program).values.filter((value) => value.op === op).length
    // Forward, of the weights and of their twin; the third is computed again.
    for (const program of [tinyProgram(sizes), low]) {
      expect(count(program, "Gelu")).toBe(3)
      expect(count(program, "LayerNormalization")).toBe(3)
    }
    const products = (program: TrainingProgram) => count(program, "MatMul")
    expect(products(low)).toBe(products(tinyProgram(sizes)))
  })

  it("leave a graph without a backward pass as it is", () => {
    const specs = { x: { shape: [2, 3], dtype: "float32" as const } }
    const graph = capture("forward", specs, ({ x }) => ({ total: tf.sum(tf.exp(x!)) }))
    expect(recompute(graph, graph.outputs.total!, "low")).toBe(graph)
  })

  it("let the parts of a gradient come as the backward pass makes them", () => {
    const program: TrainingProgram = {
      ...tinyProgram(sizes),
      run: ({ weights, inputs }) => {
        const twice = tf.add(embed(weights, inputs.ids!), embed(weights, tf.reverse(inputs.ids!, 1)))
        return { losses: { loss: tf.sum(tf.square(tf.add(twice, inputs.noise!))) }, outputs: {} }
      }
    }
    const graph = graphOf({ ...program, twin: [], state: {} })
    const parts = gradientOrder(graph, graph.outputs.total!)
    expect(graph.order).toEqual(parts)
    const products = parts.filter(({ op, shape }) => op === "MatMul" && shape[0] === 2 * sizes.D)
    expect(products).toHaveLength(2)
    expect(parts.map(({ id }) => id)).toEqual(parts.map(({ id }) => id).toSorted((a, b) => a - b))
  })
})
