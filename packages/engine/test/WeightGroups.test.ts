/** Weights updated in pieces: of every element once, and to what the eager executor makes of the weights one by one. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import * as ort from "onnxruntime-node"
import { describe, expect, it } from "vitest"
import type { Executor, HostTensors, Optimizer, Specs, TrainingProgram } from "../src/index.ts"
import { makeEagerExecutor, makeOnnxExecutor } from "../src/index.ts"
import { followGraph, updateGraph } from "../src/Compile.ts"
import type { Graph } from "../src/Graph.ts"
import { sizeOf } from "../src/Graph.ts"
import { mapTensors } from "../src/HostTensors.ts"
import { lower } from "../src/onnx/Lower.ts"
import { runUncopied } from "../src/onnx/Uncopied.ts"
import { groupOptimizer, groupSpecs, pieceLength, weightGroups } from "../src/onnx/WeightGroups.ts"
import { distance, float32, numbersFrom } from "./CompareExecutors.ts"

const optimizer: Optimizer = {
  betas: [0.9, 0.98],
  eps: 1e-6,
  weight_decay: 0.1,
  decays: (_, shape) => shape.length >= 2,
  max_grad_norm: 1,
  clamp: { scale: [0, 1.5] },
  momentum: 0.9,
  ema: 0.9
}
const shapes = { long: [300, 301], bias: [301], scale: [], longer: [2, 70_000] } as const
const specs: Specs = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "float32" as const }])
)

const program: TrainingProgram = {
  name: "long weights",
  weights: Object.keys(shapes),
  twin: ["long", "bias"],
  state: {},
  run: ({ weights, twin, inputs }) => {
    const mixed = tf.add(tf.matMul(inputs.x!, weights.long!), weights.bias!)
    const followed = tf.add(tf.matMul(inputs.x!, twin.long!), twin.bias!)
    // Far from its least, so that no gradient is rounding only: AdamW would make steps of it.
    const scaled = tf.mul(tf.square(tf.sub(tf.add(mixed, 1), followed)), tf.add(weights.scale!, 1))
    return { losses: { loss: tf.add(tf.mean(scaled), tf.mean(tf.square(weights.longer!))) }, outputs: {} }
  }
}

/** All results of a graph on numbers from 0 to 1, by how much of it ONNX Runtime may rewrite. */
async function resultsOf(graph: Graph, graphOptimizationLevel: "all" | "disabled") {
  const session = await ort.InferenceSession.create(lower(graph).model, {
    graphOptimizationLevel,
    intraOpNumThreads: 1
  })
  const next = numbersFrom(7)
  const feeds = Object.entries(graph.inputs).map(([name, { shape }]) => {
    const { data } = float32(shape, next, 0, 1)
    return [name, new ort.Tensor("float32", data as Float32Array, shape)]
  })
  const buffers = mapTensors(
    graph.outputs,
    ({ shape }) => new ort.Tensor("float32", new Float32Array(sizeOf(shape)), shape)
  )
  await runUncopied(session, Object.fromEntries(feeds) as Record<string, ort.Tensor>, buffers)
  return mapTensors(buffers, ({ data }) => data)
}

const trained = (make: Effect.Effect<Executor, unknown, never>) =>
  Effect.gen(function* () {
    const next = numbersFrom(3)
    const weights: HostTensors = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [name, float32(shape, next, -0.5, 0.5)])
    )
    const model = yield* (yield* make).load(weights)
    const trainer = yield* model.train(program, optimizer, { _tag: "Fresh", state: {} })
    for (let step = 0; step < 3; step++) yield* trainer.step({ x: float32([4, 300], next) }, 1e-2)
    return yield* trainer.snapshot
  })

describe("weights in pieces", () => {
  it("has every element of a group in one piece", () => {
    const own = { weights: specs, frozen: {}, twin: {}, ema: {}, state: {} }
    const groups = weightGroups(own, optimizer, Object.keys(shapes))
    const pieces = groupSpecs(groups, () => true)
    const lengths = groups.map((_, index) =>
      Object.entries(pieces).flatMap(([name, { shape }]) => (name.startsWith(`${index}.`) ? [shape[0]!] : []))
    )
    expect(lengths.map((each) => each.reduce((sum, length) => sum + length, 0))).toEqual([90_300, 301, 1, 140_000])
    expect(lengths[0]).toEqual([65_536, 24_764])
    expect(pieceLength(groups)).toBe(65_536)
  })

  it("makes of a model of any size no more than 128 pieces and the ends of its groups", () => {
    const table: Specs = { table: { shape: [100_000, 700], dtype: "float32" } }
    const own = { weights: table, frozen: {}, twin: {}, ema: {}, state: {} }
    expect(Object.keys(groupSpecs(weightGroups(own, optimizer, ["table"]), () => true))).toHaveLength(128)
  })

  it("has the same bytes updated as written as where ONNX Runtime may rewrite", async () => {
    const own = { weights: specs, frozen: {}, twin: {}, ema: {}, state: {} }
    const groups = weightGroups(own, optimizer, Object.keys(shapes))
    const pieces = groupSpecs(groups, () => true)
    for (const graph of [
      updateGraph("update", pieces, groupOptimizer(groups, optimizer)),
      followGraph("follow", "t:", pieces, 0.9)
    ]) {
      const written = await resultsOf(graph, "disabled")
      expect(Object.values(written).every((data) => (data as Float32Array).some((number) => number !== 0))).toBe(true)
      expect(written).toEqual(await resultsOf(graph, "all"))
    }
  })

  it("moves weights, moments, twin and average as eager does", async () => {
    const run = (make: Effect.Effect<Executor, unknown, never>) => Effect.runPromise(Effect.scoped(trained(make)))
    const actual = await run(makeOnnxExecutor({ threads: 2 }) as never)
    const expected = await run(makeEagerExecutor() as never)
    for (const part of ["weights", "exp_avg", "exp_avg_sq", "twin", "ema"] as const)
      expect(distance(actual[part], expected[part])).toBeLessThan(2e-5)
  })
})
