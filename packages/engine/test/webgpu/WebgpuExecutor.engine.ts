/** What only an adapter can show. Run by `npm run test:webgpu`. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Executor, HostTensors } from "../../src/index.ts"
import { engineDoctor, makeWebgpuExecutor } from "../../src/index.ts"
import { bool, float32, int32, numbersFrom, open, program, runOnce, tensorDistance } from "../CompareExecutors.ts"

let executor: Executor
let close: () => Promise<void>
beforeAll(async () => ({ executor, close } = await open(makeWebgpuExecutor)))
afterAll(() => close())

const next = numbersFrom(5)

describe("the webgpu executor", () => {
  it("names ONNX Runtime and the adapter, the same one each time", async () => {
    expect(executor.name).toBe("webgpu")
    expect(executor.numerics).toMatch(/^onnxruntime-node 1\.30\.\d+ webgpu [0-9a-f]{8} graphs 2 fp32$/)
    const again = await open(makeWebgpuExecutor)
    expect(again.executor.numerics).toBe(executor.numerics)
    await again.close()
    const found = await Effect.runPromise(engineDoctor)
    expect(found.find((each) => each.executor === "webgpu")).toMatchObject({ available: true })
  })

  it("takes every dtype there and back", async () => {
    const weights: HostTensors = { w: float32([3, 2], next), flags: bool([5], next), ids: int32([2], next, 0, 9) }
    const [same, now] = await Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const model = yield* executor.load(weights)
          const same = yield* model.run(
            program(({ w, flags, ids }, { x }) => ({ w: w!, flags: flags!, ids: ids!, x: x! }), ["w", "flags", "ids"]),
            { x: weights.w! }
          )
          return [same, yield* model.weights]
        })
      )
    )
    expect(now).toEqual(weights)
    expect(same).toEqual({ ...weights, x: weights.w })
  })

  it("refuses a position out of range", async () => {
    const pick = program((_, { ids }) => ({ y: tf.gather(tf.tensor1d([1, 2]), ids as tf.Tensor1D) }))
    const inputs: HostTensors = { ids: { shape: [1], dtype: "int32", data: Int32Array.of(7) } }
    const error = await Effect.runPromise(
      Effect.scoped(Effect.flip(Effect.flatMap(executor.load({}), (model) => model.run(pick, inputs))))
    )
    expect(error).toMatchObject({ reason: "Execution", program: "test program" })
    expect(error.message).toContain("input ids: 7 is out of data bounds [-2,1]")
  })

  it("adds gradients of repeated positions to the same bits every time, as a product does", async () => {
    const [rows, width, count] = [5000, 64, 2000]
    const ids = int32([count], next, 0, rows)
    ids.data.fill(7, 0, count / 2)
    const inputs = { x: float32([count, width], next), ids }
    const scatter = program((_, { x, ids: at }) => ({ y: tf.unsortedSegmentSum(x!, at as tf.Tensor1D, rows) }))
    const expected = new Float64Array(rows * width)
    for (const [i, id] of ids.data.entries())
      for (let j = 0; j < width; j++) expected[id * width + j]! += Number(inputs.x.data[i * width + j])
    const first = await runOnce(executor, scatter, inputs)
    expect((await runOnce(executor, scatter, inputs)).y).toEqual(first.y)
    const exact = { shape: [rows, width], dtype: "float32", data: Float32Array.from(expected) } as const
    expect(tensorDistance(first.y!, exact)).toBeLessThan(1e-5)
  })
})
