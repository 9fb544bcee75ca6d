/** The models for a device, which needs other operations than the processor: run on the processor, they give what eager gives. */
import * as tf from "@tensorflow/tfjs-core"
import { InferenceSession, Tensor } from "onnxruntime-node"
import { beforeAll, describe, expect, it } from "vitest"
import type { Executor, HostTensor, HostTensors, Program, Tensors } from "../src/index.ts"
import { makeEagerExecutor } from "../src/index.ts"
import { inferenceGraph } from "../src/Compile.ts"
import { mapTensors, prefixed, specsOf, under } from "../src/HostTensors.ts"
import { lower } from "../src/onnx/Lower.ts"
import { distance, float32, int32, numbersFrom, open, program, runOnce } from "./CompareExecutors.ts"
import { tiedGraph } from "./TiedWords.ts"

const target = { precision: "fp32", device: "webgpu" } as const

/** Latin-1 keeps the names of operations readable among the bytes. */
const textOf = (model: Uint8Array): string => Buffer.from(model).toString("latin1")

async function runModel(program: Program, inputs: HostTensors): Promise<HostTensors> {
  const { model, operands } = lower(inferenceGraph(program, {}, specsOf(inputs)), target)
  expect(operands).toEqual({})
  expect(textOf(model)).not.toMatch(/FusedMatMul|LogSoftmax|ScatterElements/)
  const session = await InferenceSession.create(model)
  const feeds = mapTensors(prefixed("x:", inputs), ({ dtype, data, shape }) => new Tensor(dtype, data as never, shape))
  const results = await session.run(feeds)
  await session.release()
  return under(
    "y:",
    mapTensors(results, (result): HostTensor => ({
      shape: result.dims,
      dtype: result.type as HostTensor["dtype"],
      data: result.data as HostTensor["data"]
    }))
  )
}

const next = numbersFrom(11)
const rows = 9000
const ids = int32([300], next, 0, rows)
// Many meet in one row, and the last portion has its share.
ids.data.fill(rows - 1, 0, 100)

const cases: ReadonlyArray<readonly [string, HostTensors, (x: Tensors) => tf.Tensor]> = [
  [
    "the first operand of a batched product transposed",
    { a: float32([2, 3, 5, 4], next), b: float32([2, 3, 5, 6], next) },
    ({ a, b }) => tf.matMul(a!, b!, true, false)
  ],
  [
    "the second",
    { a: float32([2, 3, 5, 4], next), b: float32([2, 3, 6, 4], next) },
    ({ a, b }) => tf.matMul(a!, b!, false, true)
  ],
  ["both", { a: float32([7, 5, 4], next), b: float32([7, 6, 5], next) }, ({ a, b }) => tf.matMul(a!, b!, true, true)],
  ["logarithms of a softmax", { x: float32([3, 4, 50], next, -60, 60) }, ({ x }) => tf.logSoftmax(x!)],
  [
    "sums of rows in several portions",
    { x: float32([300, 8], next), ids },
    ({ x, ids: at }) => tf.unsortedSegmentSum(x!, at as tf.Tensor1D, rows)
  ]
]

describe("a model for a device", () => {
  let eager: Executor
  beforeAll(async () => ({ executor: eager } = await open(makeEagerExecutor())))

  it.each(cases)("computes %s", async (_, inputs, compute) => {
    const test = program((_weights, x) => ({ result: compute(x) }))
    expect(distance(await runModel(test, inputs), await runOnce(eager, test, inputs))).toBeLessThan(1e-5)
  })

  it("adds sums of rows to a tensor, and is given nothing beside its inputs", async () => {
    const graph = tiedGraph()
    const both = [lower(graph), lower(graph, target)]
    const inputs = mapTensors(graph.inputs, ({ dtype, shape }) =>
      dtype === "int32" ? int32([...shape], next, 0, 110) : float32([...shape], next)
    )
    const [expected, actual] = await Promise.all(
      both.map(async ({ model, operands }) => {
        const all = { ...inputs, ...operands }
        const session = await InferenceSession.create(model, { graphOptimizationLevel: "disabled" })
        const feeds = mapTensors(all, ({ dtype, data, shape }) => new Tensor(dtype, data as never, [...shape]))
        const names = session.outputNames.filter((name) => name.startsWith("g:"))
        const results = await session.run(feeds, names)
        return mapTensors(results, ({ dims, data }): HostTensor => ({
          shape: dims,
          dtype: "float32",
          data: data as Float32Array
        }))
      })
    )
    expect(both[1]!.operands).toEqual({})
    expect(Object.keys(actual!)).toEqual(["g:words"])
    expect(distance(actual!, expected!)).toBeLessThan(1e-5)
  })
})
