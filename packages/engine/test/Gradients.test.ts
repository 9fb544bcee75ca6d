/**
 * The engine's gradients on the cpu backend, kernel by kernel: against those of tfjs's umbrella package, and against finite differences
 * where that package's own are wrong or fail (broadcast operands, one part).
 */
import { loaded, officialGradient } from "./OfficialGradients.ts"
import type { Scalar, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import "../src/CaptureBackend.ts"
import type { HostTensors } from "../src/index.ts"
import { numbersFrom } from "./CompareExecutors.ts"
import { drawFrom, kernelCases } from "./KernelCases.ts"
import type { KernelCase } from "./KernelCases.ts"

beforeAll(() => tf.setBackend("cpu"))

const tensorOf = ({ data, shape, dtype }: HostTensors[string]) => tf.tensor(data, [...shape], dtype)

/** The sum of the squares of all results, as a function of the float32 inputs. */
function energy({ compute }: KernelCase, inputs: HostTensors) {
  const names = Object.keys(inputs)
  const varied = names.filter((name) => inputs[name]!.dtype === "float32")
  const value = (...xs: Array<Tensor>): Scalar => {
    const fixed = (name: string) => tensorOf(inputs[name]!)
    const all = Object.fromEntries(names.map((name) => [name, xs[varied.indexOf(name)] ?? fixed(name)]))
    return tf.addN([compute(all)].flat().map((result) => tf.sum(tf.square(result)))) as Scalar
  }
  return { varied, value }
}

const gradientsOf = (one: KernelCase, inputs: HostTensors): ReadonlyArray<ReadonlyArray<number>> =>
  tf.tidy(() => {
    const { varied, value } = energy(one, inputs)
    const gradients = tf.grads(value)(varied.map((name) => tensorOf(inputs[name]!)))
    return gradients.map((gradient) => [...gradient.dataSync()])
  })

function officialGradientsOf(one: KernelCase, inputs: HostTensors): ReadonlyArray<ReadonlyArray<number>> {
  const own = tf.getGradient(one.kernel)
  tf.unregisterGradient(one.kernel)
  tf.registerGradient(officialGradient(one.kernel)!)
  try {
    return gradientsOf(one, inputs)
  } finally {
    tf.unregisterGradient(one.kernel)
    tf.registerGradient(own)
  }
}

function finiteDifferences(one: KernelCase, inputs: HostTensors): ReadonlyArray<ReadonlyArray<number>> {
  const step = 1 / 256
  const { varied, value } = energy(one, inputs)
  const at = (name: string, index: number, by: number) =>
    tf.tidy(
      () =>
        value(
          ...varied.map((other) => {
            const { data, shape } = inputs[other]!
            return tf.tensor(other === name ? (data as Float32Array).with(index, data[index]! + by) : data, [...shape])
          })
        ).dataSync()[0]!
    )
  return varied.map((name) =>
    Array.from(inputs[name]!.data, (_, index) => (at(name, index, step) - at(name, index, -step)) / (2 * step))
  )
}

function expectClose(
  actual: ReadonlyArray<ReadonlyArray<number>>,
  expected: ReadonlyArray<ReadonlyArray<number>>,
  tolerance: number
) {
  expect(actual.map((values) => values.length)).toEqual(expected.map((values) => values.length))
  const scale = Math.max(1, ...expected.flat().map(Math.abs))
  const errors = actual.flatMap((values, input) =>
    values.map((value, index) => Math.abs(value - expected[input]![index]!))
  )
  expect(Math.max(0, ...errors) / scale).toBeLessThan(tolerance)
}

const check = (one: KernelCase, reference: typeof finiteDifferences, tolerance: number) =>
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 1e6 }),
      fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
      (seed, lengths) => {
        const inputs = one.inputs(drawFrom(numbersFrom(seed), lengths))
        expectClose(gradientsOf(one, inputs), reference(one, inputs), tolerance)
      }
    ),
    { numRuns: 8, seed: 11 }
  )

const isFloat = (one: KernelCase) =>
  Object.values(one.inputs(drawFrom(numbersFrom(1), [2, 3]))).some(({ dtype }) => dtype === "float32")
const differentiable = kernelCases.filter(
  (one) => officialGradient(one.kernel) !== undefined && isFloat(one) && one.kernel !== "Cast"
)
const limited = ["Maximum", "Minimum", "SquaredDifference", "BatchMatMul", "Unpack", "SplitV"]
const titled = (cases: ReadonlyArray<KernelCase>) =>
  cases.map((one, index) => [`${one.kernel} (${index})`, one] as const)

describe.skipIf(!loaded)("gradients agree with tfjs's own", () => {
  it.each(titled(differentiable.filter(({ kernel }) => !limited.includes(kernel))))("%s", (_, one) =>
    check(one, officialGradientsOf, 1e-5)
  )
})

describe("gradients agree with finite differences", () => {
  const cases = [...limited, "Add", "Sub", "Multiply", "RealDiv", "Pow", "Select", "GatherV2", "Cumsum", "LogSoftmax"]
  it.each(titled(kernelCases.filter((one) => cases.includes(one.kernel) && isFloat(one))))("%s", (_, one) =>
    check(one, finiteDifferences, 0.01)
  )
})
