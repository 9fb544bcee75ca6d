import * as tf from "@tensorflow/tfjs-core"
import { Effect, Exit } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Executor, HostTensors, Program } from "../src/index.ts"
import { Engine, engineDoctor, makeOnnxExecutor } from "../src/index.ts"
import { onnxExecutor } from "../src/onnx/OnnxExecutor.ts"
import { startSessions } from "../src/onnx/SessionClient.ts"
import { bool, float32, int32, numbersFrom, open, program, runOnce, tensorDistance } from "./CompareExecutors.ts"

let executor: Executor
let close: () => Promise<void>
beforeAll(async () => ({ executor, close } = await open(makeOnnxExecutor({ threads: 2 }))))
afterAll(() => close())

const next = numbersFrom(5)

describe("the onnx executor", () => {
  it("names everything that fixes a result's bits", () => {
    expect(executor.numerics).toMatch(
      /^onnxruntime-node 1\.30\.\d+ graphs 2 cpu (avx512|avx2|sse|neon|x64) threads=2 fp32$/
    )
  })

  it("takes unread inputs, and gives inputs, constants and one value twice", async () => {
    const inputs: HostTensors = {
      x: float32([2, 3], next),
      unread: float32([4], next),
      flags: bool([3], next),
      ids: int32([2], next, 0, 9),
      number: { shape: [], dtype: "float32", data: Float32Array.of(7) }
    }
    const outputs = await runOnce(
      executor,
      program((_, { x, flags, ids, number }) => {
        const twice = tf.mul(x!, number!)
        return {
          x: x!,
          flags: flags!,
          ids: ids!,
          number: number!,
          ones: tf.ones([2, 2]),
          list: tf.tensor1d([1, 2, 3], "int32"),
          first: twice,
          second: twice
        }
      }),
      inputs
    )
    for (const name of ["x", "flags", "ids", "number"]) expect(outputs[name]).toEqual(inputs[name])
    expect([...outputs.ones!.data]).toEqual([1, 1, 1, 1])
    expect([...outputs.list!.data]).toEqual([1, 2, 3])
    expect(outputs.second).toEqual(outputs.first)
    expect(outputs.first!.data[0]).toBeCloseTo((inputs.x!.data[0] as number) * 7, 5)
  })

  it("shares one copy of the weights among programs, and gives them back", async () => {
    const weights: HostTensors = { w: float32([3], next), other: float32([2], next) }
    const result = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load(weights)
          const double = yield* model.run(
            program(({ w }) => ({ y: tf.mul(w!, 2) }), ["w"]),
            {}
          )
          const plus = yield* model.run(
            program(({ w }, { x }) => ({ y: tf.add(w!, x!) }), ["w"]),
            { x: float32([3], next, 0, 0) }
          )
          return { double, plus, now: yield* model.weights }
        })
      )
    )
    expect(result.plus.y!.data).toEqual(weights.w!.data)
    expect(result.double.y!.data[1]).toBeCloseTo(2 * (weights.w!.data[1] as number), 6)
    expect(result.now).toEqual(weights)
  })

  it("leaves inputs to the caller unless they are given away", async () => {
    const both = program((_, { x, y }) => ({ sum: tf.add(x!, y!) }))
    const inputs: HostTensors = { x: float32([2, 3], next), y: float32([2, 3], next) }
    const expected = Array.from(inputs.x!.data, (value, i) =>
      Math.fround((value as number) + Number(inputs.y!.data[i]))
    )
    const [kept, moved] = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load({})
          const kept = yield* model.run(both, inputs)
          expect(inputs.x!.data.length).toBe(6)
          return [kept, yield* model.run(both, inputs, { transfer: true })]
        })
      )
    )
    expect([inputs.x!.data.length, inputs.y!.data.length]).toEqual([0, 0])
    for (const { sum } of [kept, moved]) expect([...sum!.data]).toEqual(expected)
  })

  it("compiles once per program and shapes", async () => {
    let captured = 0
    const counted = program((_, { x }) => {
      captured++
      return { y: tf.exp(x!) }
    })
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load({})
          for (const rows of [2, 3, 2, 3, 2]) yield* model.run(counted, { x: float32([rows], next) })
        })
      )
    )
    expect(captured).toBe(2)
  })

  it.each<readonly [string, Program, HostTensors, string, string]>([
    [
      "no elements",
      program((_, { x }) => ({ y: x! })),
      { x: { shape: [0, 3], dtype: "float32", data: new Float32Array(0) } },
      "ShapeMismatch",
      "input x has no elements ([0,3])"
    ],
    [
      "a wrong array",
      program((_, { x }) => ({ y: x! })),
      { x: { shape: [2], dtype: "int32", data: new Float32Array(2) } },
      "ShapeMismatch",
      "needs a Int32Array, but carries a Float32Array"
    ],
    [
      "a wrong length",
      program((_, { x }) => ({ y: x! })),
      { x: { shape: [2, 2], dtype: "float32", data: new Float32Array(3) } },
      "ShapeMismatch",
      "[2,2], which is 4 elements, but carries 3"
    ],
    ["a missing weight", program(({ w }) => ({ y: w! }), ["w"]), {}, "InvalidProgram", "the model holds no weight w"],
    [
      "a NaN",
      program((_, { x }) => ({ y: tf.log(x!) })),
      { x: { shape: [2, 2], dtype: "float32", data: Float32Array.of(1, 2, -1, 1) } },
      "NonFinite",
      "the output y is NaN (row 1)"
    ],
    [
      "an unknown kernel",
      program((_, { x }) => ({ y: tf.atan(x!) })),
      { x: float32([4], next) },
      "UnsupportedKernel",
      "Atan"
    ],
    [
      "a position out of range",
      program((_, { ids }) => ({ y: tf.gather(tf.tensor1d([1, 2]), ids as tf.Tensor1D) })),
      { ids: { shape: [1], dtype: "int32", data: Int32Array.of(7) } },
      "Execution",
      "out of data bounds"
    ]
  ])("refuses %s", async (_, bad, inputs, reason, detail) => {
    const error = await Effect.runPromise(
      Effect.scoped(Effect.flip(Effect.flatMap(executor.load({}), (model) => model.run(bad, inputs))))
    )
    expect(error).toMatchObject({ _tag: "EngineError", reason, program: "test program" })
    expect(error.message).toContain(detail)
  })

  it("adds gradients of repeated positions alike at one and two threads, and as a matrix product does", async () => {
    const [rows, width, count] = [300, 64, 4000]
    const ids = int32([count], next, 0, rows)
    ids.data.fill(7, 0, count / 2)
    const inputs = { x: float32([count, width], next), ids }
    const scatter = program((_, { x, ids: at }) => ({ y: tf.unsortedSegmentSum(x!, at as tf.Tensor1D, rows) }))
    const product = program((_, { x, ids: at }) => ({
      y: tf.matMul(tf.oneHot(at!, rows, 1, 0, "float32"), x!, true, false)
    }))
    const single = await open(makeOnnxExecutor({ threads: 1 }))
    const [one, two, expected] = [
      await runOnce(single.executor, scatter, inputs),
      await runOnce(executor, scatter, inputs),
      await runOnce(executor, product, inputs)
    ]
    await single.close()
    expect(two.y!.data).toEqual(one.y!.data)
    expect(tensorDistance(two.y!, expected.y!)).toBeLessThan(1e-5)
  })

  it("serves calls made at once, in order, without blocking the caller's thread", async () => {
    const heavy = program((_, { x }) => ({ y: tf.mul(tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D), 1e-3) }))
    const ticks: Array<number> = []
    await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load({})
          const inputs = { x: float32([1024, 1024], next) }
          yield* model.run(heavy, inputs)
          const timer = setInterval(() => ticks.push(performance.now()), 5)
          yield* Effect.all(
            Array.from({ length: 4 }, () => model.run(heavy, inputs)),
            { concurrency: "unbounded" }
          )
          clearInterval(timer)
        })
      )
    )
    expect(ticks.length).toBeGreaterThan(3)
  })

  it("turns a dead worker into an error for those who wait and those who come later", async () => {
    const [waiting, later] = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const client = yield* startSessions({ device: "cpu", threads: 1 })
          const model = yield* onnxExecutor(client, { threads: 1 }).load({})
          const heavy = program((_, { x }) => ({ y: tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D) }))
          const inputs = { x: float32([1500, 1500], next) }
          const [, waiting] = yield* Effect.all(
            [
              Effect.exit(model.run(heavy, inputs)),
              Effect.flip(model.run(heavy, inputs)),
              Effect.delay(client.stop, "50 millis")
            ],
            { concurrency: "unbounded" }
          )
          return [waiting, yield* Effect.flip(model.run(heavy, inputs))] as const
        })
      )
    )
    for (const error of [waiting, later]) {
      expect(error).toMatchObject({ _tag: "EngineError", reason: "Execution", program: "test program" })
      expect(error.message).toContain("the onnx executor is gone")
    }
  })

  it("comes as a layer", async () => {
    const name = Effect.gen(function* () {
      return (yield* Engine).name
    })
    expect(await Effect.runPromise(Effect.provide(name, Engine.onnx({ threads: 1 })))).toBe("onnx")
    expect(await Effect.runPromise(Effect.provide(name, Engine.eager()))).toBe("eager")
  })

  it("says which executors run here and what the others lack", async () => {
    const found = await Effect.runPromise(engineDoctor)
    expect(found.map(({ executor: which, backend }) => [which, backend])).toEqual([
      ["onnx", undefined],
      ["tensorflow", undefined],
      ["webgpu", undefined],
      ["eager", "cpu"],
      ["eager", "tensorflow"]
    ])
    expect(found[0]).toMatchObject({ available: true })
    const missing = found.filter(({ available }) => !available)
    const remedy = {
      onnx: "",
      tensorflow: "bootlace engine install tensorflow",
      webgpu: "libvulkan1",
      eager: "@tensorflow/tfjs-node-gpu"
    }
    for (const { executor: which, detail } of missing) expect(detail).toContain(remedy[which])
  })

  it("fails as Unavailable where a backend is missing", async () => {
    const found = await Effect.runPromise(engineDoctor)
    const exit = await Effect.runPromiseExit(
      Effect.provide(
        Effect.gen(function* () {
          return yield* Engine
        }),
        Engine.eager({ backend: "tensorflow" })
      )
    )
    expect(Exit.isSuccess(exit)).toBe(found.find(({ backend }) => backend === "tensorflow")!.available)
  })
})
