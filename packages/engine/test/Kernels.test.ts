import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Executor, HostTensors, Program, Tensors } from "../src/index.ts"
import { makeEagerExecutor, supportedKernels } from "../src/index.ts"
import { captured, capturedName } from "./Captured.ts"
import { distance, numbersFrom, open, runOnce } from "./CompareExecutors.ts"
import type { KernelCase } from "./KernelCases.ts"
import { drawFrom, kernelCases } from "./KernelCases.ts"

const executors: Record<"captured" | "eager", Executor> = {} as never
const closes: Array<() => Promise<void>> = []

beforeAll(async () => {
  for (const [name, make] of [
    ["captured", captured(1)],
    ["eager", makeEagerExecutor()]
  ] as const) {
    const { executor, close } = await open(make)
    executors[name] = executor
    closes.push(close)
  }
})
afterAll(() => Promise.all(closes.map((close) => close())))

const named = (values: Tensor | Array<Tensor>): Tensors =>
  Object.fromEntries([values].flat().map((value, index) => [String(index), value]))

/** The function's results and, for float32 results, the gradients of the sum of their squares. */
function programOf({ kernel, compute }: KernelCase, differentiable: ReadonlyArray<string>): Program {
  const run = (_: Tensors, x: Tensors): Tensors => {
    const results = named(compute(x))
    const floats = Object.values(results).every((result) => result.dtype === "float32")
    if (!floats || differentiable.length === 0) return results
    const total = (...varied: Array<Tensor>): tf.Scalar => {
      const all = { ...x, ...Object.fromEntries(differentiable.map((name, index) => [name, varied[index]!])) }
      return tf.addN(Object.values(named(compute(all))).map((result) => tf.sum(tf.square(result)))) as tf.Scalar
    }
    const gradients = tf.grads(total)(differentiable.map((name) => x[name]!))
    return {
      ...results,
      ...Object.fromEntries(gradients.map((gradient, index) => [`d ${differentiable[index]}`, gradient]))
    }
  }
  return { name: kernel, weights: [], run }
}

const flat = new Set([
  "ZerosLike",
  "OnesLike",
  "IsNan",
  "IsInf",
  "IsFinite",
  "OneHot",
  "Prod",
  "StridedSlice",
  "_FusedMatMul",
  "Fill",
  "Range"
])
/** A GPU's sine and cosine may be 2^-11 off between -pi and pi (Vulkan 1.3, Precision of GLSL.std.450 Instructions). */
const toleranceOf = (kernel: string) => (capturedName === "webgpu" && /^(Sin|Cos)$/.test(kernel) ? 2 ** -11 : 1e-5)

const floatInputs = (inputs: HostTensors) => Object.keys(inputs).filter((name) => inputs[name]!.dtype === "float32")

describe(`captured kernels on ${capturedName}`, () => {
  it.each(kernelCases.map((one, index) => [`${one.kernel} (${index})`, one] as const))(
    "%s agrees with tfjs",
    async (_, one) => {
      await fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 0, max: 1e6 }),
          fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 4 }),
          async (seed, lengths) => {
            const inputs = one.inputs(drawFrom(numbersFrom(seed), lengths))
            const program = programOf(one, flat.has(one.kernel) ? [] : floatInputs(inputs))
            const expected = await runOnce(executors.eager, program, inputs)
            expect(distance(await runOnce(executors.captured, program, inputs), expected)).toBeLessThan(
              toleranceOf(one.kernel)
            )
          }
        ),
        { numRuns: 8, seed: 7 }
      )
    }
  )

  it("has a case for every kernel", () => {
    const tested = new Set(kernelCases.map(({ kernel }) => kernel))
    expect(supportedKernels.filter((kernel) => !tested.has(kernel))).toEqual([])
  })
})
