/** Comparing numbers the way the parity cases state their tolerances. */
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert } from "vitest"
import type { Stored } from "./Safetensors.ts"

export const maxDifference = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  assert.strictEqual(actual.length, expected.length)
  let largest = 0
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!)
    if (!(difference <= largest)) largest = difference
  }
  return largest
}

/** Largest absolute difference at most `tolerance`. */
export const assertClose = (actual: Tensor, expected: Stored, tolerance: number, what: string): void => {
  assert.deepStrictEqual(actual.shape, [...expected.shape], what)
  assert.isAtMost(maxDifference(actual.dataSync(), expected.data), tolerance, what)
}

/** Largest difference at most 1e-4 of the largest entry; entries that are zero in exact arithmetic at most 1e-6. */
export const assertGradient = (actual: Tensor, expected: Stored, what: string): void => {
  const largest = maxDifference(expected.data, new Float32Array(expected.data.length))
  assertClose(actual, expected, Math.max(1e-4 * largest, 1e-6), what)
}

/** After a few AdamW steps a gradient near zero may have flipped: 99.9% within 2e-5, all within three learning rates. */
export const assertTrained = (actual: Tensor, expected: Stored, lr: number, what: string): void => {
  const values = actual.dataSync()
  const differences = Array.from(expected.data, (value, i) => Math.abs(values[i]! - value)).sort((a, b) => a - b)
  assert.isAtMost(differences.at(-1)!, 3 * lr, what)
  assert.isAtMost(differences[Math.floor(0.999 * (differences.length - 1))]!, 2e-5, what)
}
