/** The executor on TensorFlow's library: `npm run test:tensorflow`. Fails where the library isn't installed. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Executor, HostTensors, Trainer } from "../../src/index.ts"
import { makeEagerExecutor, makeTensorflowExecutor } from "../../src/index.ts"
import { bool, distance, float32, int32, numbersFrom, open, program, runOnce } from "../CompareExecutors.ts"
import type { Sizes } from "../TinyProgram.ts"
import { tinyInputs, tinyOptimizer, tinyProgram, tinyQueue, tinyWeights } from "../TinyProgram.ts"

let executor: Executor
let close: () => Promise<void>
beforeAll(async () => ({ executor, close } = await open(makeTensorflowExecutor())))
afterAll(() => close())

const next = numbersFrom(5)
const sizes: Sizes = { B: 3, T: 5, V: 11, D: 8, Q: 4 }

const training = <A>(
  on: Executor,
  use: (trainer: Trainer, weights: Effect.Effect<HostTensors, unknown>) => Effect.Effect<A, unknown>,
  at: Sizes = sizes
): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* on.load(tinyWeights(at, 1))
        const start = { _tag: "Fresh", state: tinyQueue(at, 2) } as const
        return yield* use(yield* model.train(tinyProgram(at), tinyOptimizer, start), model.weights)
      })
    )
  )

/** Steps over texts of these lengths, each with an enqueue. */
const overLengths = (lengths: ReadonlyArray<number>) => (trainer: Trainer) =>
  Effect.gen(function* () {
    const totals: Array<number> = []
    for (const [step, T] of lengths.entries()) {
      const { total, outputs } = yield* trainer.step(tinyInputs({ ...sizes, T }, 10 + step), 1e-2)
      yield* trainer.enqueue("queue", step % 2, outputs.enqueue!)
      totals.push(total)
    }
    return { totals, snapshot: yield* trainer.snapshot }
  })

describe("the tensorflow executor", () => {
  it("names everything that fixes a result's bits", () => {
    expect(executor.numerics).toMatch(/^tensorflow 2\.21\.\d+ (cpu|gpu) graphs \d+ \w+ threads=\d+ fp32$/)
  })

  it("takes unread inputs, and gives inputs, constants and one value twice", async () => {
    const inputs: HostTensors = {
      x: float32([2, 3], next),
      unread: float32([4], next),
      flags: bool([3], next),
      ids: int32([2], next, 0, 9)
    }
    const outputs = await runOnce(
      executor,
      program((_, { x, flags, ids }) => {
        const twice = tf.mul(x!, 7)
        return { x: x!, flags: flags!, ids: ids!, ones: tf.ones([2, 2]), first: twice, second: twice }
      }),
      inputs
    )
    for (const name of ["x", "flags", "ids"]) expect(outputs[name]).toEqual(inputs[name])
    expect([...outputs.ones!.data]).toEqual([1, 1, 1, 1])
    expect(outputs.second).toEqual(outputs.first)
  })

  it("moves a training's tensors along when the texts' length changes", async () => {
    const lengths = [5, 7, 5, 3, 7]
    const actual = await training(executor, overLengths(lengths))
    const eager = await open(makeEagerExecutor())
    const expected = await training(eager.executor, overLengths(lengths))
    actual.totals.forEach((total, step) => expect(total).toBeCloseTo(expected.totals[step]!, 4))
    for (const part of ["weights", "exp_avg", "exp_avg_sq", "twin", "state", "ema"] as const)
      expect(distance(actual.snapshot[part], expected.snapshot[part])).toBeLessThan(2e-5)
  })

  it("gives the weights of a training under way, and keeps them when it ends", async () => {
    const [during, after] = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load(tinyWeights(sizes, 1))
          const read = program(({ table }) => ({ table: table! }), ["table"])
          const during = yield* Effect.scoped(
            Effect.gen(function* () {
              const start = { _tag: "Fresh", state: tinyQueue(sizes, 2) } as const
              const trainer = yield* model.train(tinyProgram(sizes), tinyOptimizer, start)
              yield* trainer.step(tinyInputs(sizes, 10), 1e-2)
              return [(yield* model.run(read, {})).table, (yield* trainer.snapshot).weights.table] as const
            })
          )
          return [during, (yield* model.weights).table] as const
        })
      )
    )
    expect(during[0]).toEqual(during[1])
    expect(after).toEqual(during[0])
    expect(after!.data).not.toEqual(tinyWeights(sizes, 1).table!.data)
  })

  it("repeats itself to the bit", async () => {
    const [first, second] = [
      await training(executor, overLengths([5, 7])),
      await training(executor, overLengths([5, 7]))
    ]
    expect(second).toEqual(first)
  })

  it("says what TensorFlow says, and goes on", async () => {
    const gather = program((_, { ids }) => ({ y: tf.gather(tf.tensor1d([1, 2]), ids as tf.Tensor1D) }))
    const at = (position: number): HostTensors => ({
      ids: { shape: [1], dtype: "int32", data: Int32Array.of(position) }
    })
    const error = await runOnce(executor, gather, at(7)).catch((cause: unknown) => cause)
    expect(String(error)).toContain("test program")
    expect(String(error)).toContain("7 is not in [0, 2)")
    expect([...(await runOnce(executor, gather, at(1))).y!.data]).toEqual([2])
  })

  it("leaves the caller's thread free", async () => {
    const heavy = program((_, { x }) => ({ y: tf.mul(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D), 1e-3) }))
    let ticks = 0
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load({})
          const inputs = { x: float32([1024, 1024], next) }
          yield* model.run(heavy, inputs)
          const timer = setInterval(() => ticks++, 5)
          for (let run = 0; run < 4; run++) yield* model.run(heavy, inputs)
          clearInterval(timer)
        })
      )
    )
    expect(ticks).toBeGreaterThan(3)
  })

  it("fails as Unavailable on a binding that isn't there", async () => {
    const error = await Effect.runPromise(
      Effect.scoped(Effect.flip(makeTensorflowExecutor({ binding: "/nowhere/tfjs_binding.node" })))
    )
    expect(error).toMatchObject({ reason: "Unavailable", program: "tensorflow executor" })
    expect(error.detail).toContain("/nowhere/tfjs_binding.node doesn't load")
  })
})

describe("bf16", () => {
  it("rounds products by bf16's 8 bits and nothing else", async () => {
    const bf16 = await open(makeTensorflowExecutor({ precision: "bf16" }))
    expect(bf16.executor.numerics).toMatch(/ bf16$/)
    const both = program((_, { x }) => ({
      product: tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, false, true),
      columns: tf.sum(x!, 0),
      sum: tf.mul(tf.add(x!, 1), x!)
    }))
    const inputs = { x: float32([80, 64], next) }
    const [rounded, exact] = [await runOnce(bf16.executor, both, inputs), await runOnce(executor, both, inputs)]
    await bf16.close()
    const error = distance({ product: rounded.product! }, { product: exact.product! })
    expect(error).toBeGreaterThan(1e-5)
    expect(error).toBeLessThan(2 ** -7)
    expect(distance({ sum: rounded.sum! }, { sum: exact.sum! })).toBe(0)
    expect(distance({ columns: rounded.columns! }, { columns: exact.columns! })).toBeLessThan(1e-6)
  })

  it("keeps weights, moments and averages in float32", async () => {
    const bf16 = await open(makeTensorflowExecutor({ precision: "bf16" }))
    const [rounded, exact] = [
      await training(bf16.executor, overLengths([5, 5, 5])),
      await training(executor, overLengths([5, 5, 5]))
    ]
    await bf16.close()
    const table = rounded.snapshot.weights.table!.data as Float32Array
    const words = new Uint32Array(table.buffer, table.byteOffset, table.length)
    expect(words.some((word) => (word & 0xffff) !== 0)).toBe(true)
    rounded.totals.forEach((total, step) => expect(Math.abs(total - exact.totals[step]!)).toBeLessThan(0.05))
  })
})
