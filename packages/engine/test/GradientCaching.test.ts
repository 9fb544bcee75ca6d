import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { HostTensors, MicroBatches, Trainer, TrainingProgram } from "../src/index.ts"
import { makeEagerExecutor } from "../src/index.ts"
import { captured, capturedName } from "./Captured.ts"
import { int32, numbersFrom } from "./CompareExecutors.ts"
import type { Sizes } from "./TinyProgram.ts"
import { embed, tinyOptimizer, tinyProgram, tinyQueue, tinyWeights } from "./TinyProgram.ts"

type Rows = Readonly<Record<string, Tensor>>

const product = (a: Tensor, b: Tensor): Tensor => tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true)
const own = (a: Tensor, b: Tensor): Tensor => tf.sum(tf.mul(a, b), -1)

/** Two sides of every row, each side by the same weights; `table` stays as it is. */
const features = (weights: Rows, inputs: Rows): Rows => ({
  left: embed(weights, inputs.left!),
  right: embed(weights, inputs.right!)
})

/** Rows against all: a contrast scaled by a weight that only the losses read, and how long the rows' sum is. */
const block = ({ weights, rows, all, places }: Parameters<NonNullable<TrainingProgram["byRows"]>["block"]>[0]) => {
  const N = all.left!.shape[0]!
  const logits = tf.mul(product(rows.left!, all.right!), tf.exp(weights.scale!))
  const pair = tf.mul(own(rows.left!, rows.right!), tf.exp(weights.scale!))
  const best = tf.cast(tf.equal(tf.argMax(logits, -1), places), "float32")
  return {
    losses: {
      contrast_loss: tf.div(tf.sum(tf.sub(tf.logSumExp(logits, -1), pair)), N),
      length_loss: tf.div(tf.sum(tf.square(tf.add(rows.left!, rows.right!))), N)
    },
    outputs: { accuracy: tf.div(tf.sum(best), N) }
  }
}

const program: TrainingProgram = {
  name: "rows (test)",
  weights: ["norm.weight", "norm.bias", "dense.weight", "out.weight", "scale", "idle"],
  frozen: ["table"],
  twin: [],
  state: {},
  run: ({ weights, inputs }) => {
    const rows = features(weights, inputs)
    const places = tf.range(0, rows.left!.shape[0]!, 1, "int32")
    return block({ weights, rows, all: rows, places })
  },
  byRows: { features: ({ weights, inputs }) => features(weights, inputs), block }
}

const whole = ({ T, V }: Sizes, N: number): HostTensors => {
  const next = numbersFrom(7)
  return { left: int32([N, T], next, 0, V), right: int32([N, T], next, 0, V) }
}

const split = (inputs: HostTensors, sizes: ReadonlyArray<number>): MicroBatches<never> => ({
  sizes,
  inputs: (index) => {
    const first = sizes.slice(0, index).reduce((sum, size) => sum + size, 0)
    const rows = Object.entries(inputs).map(([name, { data, shape, dtype }]) => {
      const width = shape[1]!
      const part = data.slice(first * width, (first + sizes[index]!) * width)
      return [name, { dtype, shape: [sizes[index]!, width], data: part }] as const
    })
    return Effect.succeed(Object.fromEntries(rows))
  }
})

const executors = { captured: captured(2), eager: makeEagerExecutor() }

const { momentum: _, ...optimizer } = tinyOptimizer

const training = <A>(
  make: (typeof executors)["captured"],
  sizes: Sizes,
  use: (trainer: Trainer) => Effect.Effect<A, unknown>,
  weights: HostTensors = {}
): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* (yield* make).load({ ...tinyWeights(sizes, 1), ...weights })
        return yield* use(yield* model.train(program, optimizer, { _tag: "Fresh", state: {} }))
      })
    )
  )

/** The largest error of each tensor, relative to the tensor's largest element. */
const errors = (actual: HostTensors, expected: HostTensors): Readonly<Record<string, number>> =>
  Object.fromEntries(
    Object.entries(expected).map(([name, { data }]) => {
      const values = Array.from(data)
      const largest = Math.max(...values.map(Math.abs))
      const worst = Math.max(...values.map((value, i) => Math.abs(value - actual[name]!.data[i]!)))
      return [name, largest === 0 ? worst : worst / largest]
    })
  )

const tiny: Sizes = { B: 3, T: 5, V: 11, D: 8, Q: 4 }
const shapes: ReadonlyArray<readonly [Sizes, ReadonlyArray<number>]> = [
  [tiny, [4, 4, 4]],
  [tiny, [5, 5, 2]],
  [{ ...tiny, T: 3, D: 16 }, [1, 1]],
  [{ ...tiny, T: 1, V: 40 }, [16, 16, 16, 1]],
  [tiny, [6]]
]

describe.each([
  [capturedName, "captured"],
  ["eager", "eager"]
] as const)("gradient caching on %s", (_, name) => {
  it.each(shapes)("gives the gradients of the whole batch: %o in %o", async (sizes, parts) => {
    const inputs = whole(
      sizes,
      parts.reduce((sum, size) => sum + size, 0)
    )
    const [expected, actual] = await training(executors[name], sizes, (trainer) =>
      Effect.all([trainer.gradients(inputs), trainer.cachedGradients(split(inputs, parts))])
    )
    expect(Object.keys(actual.gradients)).toEqual(program.weights)
    for (const error of Object.values(errors(actual.gradients, expected.gradients))) expect(error).toBeLessThan(1e-5)
    expect(actual.losses.contrast_loss).toBeCloseTo(expected.losses.contrast_loss!, 5)
    expect(actual.losses.length_loss).toBeCloseTo(expected.losses.length_loss!, 5)
    expect(actual.outputs.accuracy!.data[0]).toBeCloseTo(expected.outputs.accuracy!.data[0]!, 5)
    expect(Math.abs(expected.gradients.scale!.data[0]!)).toBeGreaterThan(1e-3)
    expect(actual.gradients.idle!.data.every((value) => value === 0)).toBe(true)
  })

  it("takes the same steps, twice the same bytes, and leaves frozen weights alone", async () => {
    const inputs = whole(tiny, 12)
    const steps = (take: (trainer: Trainer) => Effect.Effect<{ readonly grad_norm: number }, unknown>) =>
      training(executors[name], tiny, (trainer) =>
        Effect.gen(function* () {
          const norms = []
          for (let step = 0; step < 3; step++) norms.push((yield* take(trainer)).grad_norm)
          return { norms, weights: (yield* trainer.snapshot).weights }
        })
      )
    const cached = () => steps((trainer) => trainer.cachedStep(split(inputs, [5, 5, 2]), 1e-2))
    const [expected, actual, again] = [
      await steps((trainer) => trainer.step(inputs, 1e-2)),
      await cached(),
      await cached()
    ]
    expect(again).toEqual(actual)
    actual.norms.forEach((norm, step) => expect(norm).toBeCloseTo(expected.norms[step]!, 4))
    for (const error of Object.values(errors(actual.weights, expected.weights))) expect(error).toBeLessThan(1e-4)
    expect(Object.keys(actual.weights)).toEqual(program.weights)
  })

  it("refuses a NaN before anything moved", async () => {
    const [before, error, after] = await training(
      executors[name],
      tiny,
      (trainer) =>
        Effect.gen(function* () {
          const before = yield* trainer.snapshot
          const error = yield* Effect.flip(trainer.cachedStep(split(whole(tiny, 6), [4, 2]), 1e-2))
          return [before, error, yield* trainer.snapshot] as const
        }),
      { scale: { shape: [], dtype: "float32", data: Float32Array.of(Number.NaN) } }
    )
    expect(error).toMatchObject({ _tag: "EngineError", reason: "NonFinite" })
    expect(error.message).toContain("step 1: the loss contrast_loss is NaN; nothing was updated")
    expect(after).toEqual(before)
  })

  it("refuses a program that isn't split by rows", async () => {
    const error = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* (yield* executors[name]).load(tinyWeights(tiny, 1))
          const start = { _tag: "Fresh", state: tinyQueue(tiny, 2) } as const
          const trainer = yield* model.train(tinyProgram(tiny), tinyOptimizer, start)
          return yield* Effect.flip(trainer.cachedStep(split(whole(tiny, 4), [2, 2]), 1e-2))
        })
      )
    )
    expect(error).toMatchObject({ reason: "InvalidProgram" })
    expect(error.message).toContain("gradient caching needs losses that are split by rows")
  })
})
