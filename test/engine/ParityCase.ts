/** Test support: parity cases as host tensors, and the distances that test/parity/MANIFEST.md allows. */
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { assert } from "vitest"
import { readTensors, type Stored } from "../../packages/models/test/Safetensors.ts"

export const hostTensor = ({ shape, data }: Stored): HostTensor => ({
  shape,
  data,
  dtype: data instanceof Float32Array ? "float32" : data instanceof Int32Array ? "int32" : "bool"
})

export const hostTensors = (stored: Readonly<Record<string, Stored>>): HostTensors =>
  Object.fromEntries(Object.entries(stored).map(([name, tensor]) => [name, hostTensor(tensor)]))

export const parityTensors = (path: string): HostTensors => hostTensors(readTensors(path))

/** The entries under a prefix, named without it. */
export const under = (prefix: string, tensors: HostTensors): HostTensors =>
  Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor])
  )

const differences = (actual: HostTensor, expected: HostTensor): ReadonlyArray<number> =>
  Array.from(expected.data, (value, index) => Math.abs(value - actual.data[index]!)).sort((a, b) => a - b)

export function assertClose(
  actual: HostTensor | undefined,
  expected: HostTensor,
  tolerance: number,
  what: string
): void {
  assert(actual !== undefined, `${what} is missing`)
  assert.deepStrictEqual([...actual.shape], [...expected.shape], what)
  assert.isAtMost(differences(actual, expected).at(-1)!, tolerance, what)
}

/** Key biases have no gradient in exact arithmetic: what there is, is rounding. */
const isKeyBias = (name: string): boolean => /(k_proj|key)\.bias$/.test(name)

/** The same of a fused bias [3D] less its middle third, the keys'. */
const withoutKeys = (actual: HostTensor, expected: HostTensor): ReadonlyArray<number> => {
  const third = expected.data.length / 3
  return Array.from(expected.data, (value, i) => Math.abs(value - actual.data[i]!))
    .filter((_, i) => i < third || i >= 2 * third)
    .toSorted((a, b) => a - b)
}

/** Largest difference at most 1e-4 of the largest entry; of entries that are zero in exact arithmetic at most 1e-6. */
export function assertGradient(actual: HostTensor | undefined, expected: HostTensor, what: string): void {
  const largest = Math.max(...Array.from(expected.data, Math.abs))
  assertClose(actual, expected, isKeyBias(what) ? 1e-6 : Math.max(1e-4 * largest, 1e-6), what)
}

/** Near-zero gradients may flip their sign: 99.9% within 2e-5, all within three learning rates. */
export function assertTrained(actual: HostTensor | undefined, expected: HostTensor, lr: number, what: string): void {
  assertClose(actual, expected, 3 * lr, what)
  if (isKeyBias(what)) return
  const sorted = what.endsWith("qkv.bias") ? withoutKeys(actual!, expected) : differences(actual!, expected)
  assert.isAtMost(sorted[Math.floor(0.999 * (sorted.length - 1))]!, 2e-5, what)
}
