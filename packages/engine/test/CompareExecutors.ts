/** Test support: tensors from seeded numbers, and the distance between what two executors give. */
import { Effect, Exit, Scope } from "effect"
import type { EngineError, Executor, HostTensor, HostTensors, Program } from "../src/index.ts"
import { sizeOf } from "../src/index.ts"

/** Numbers in [0, 1), the same for the same seed (xorshift). */
export function numbersFrom(seed: number): () => number {
  let state = (seed * 2654435761 + 88172645) | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) / 4294967296
  }
}

export const float32 = (shape: ReadonlyArray<number>, next: () => number, low = -2, high = 2): HostTensor => ({
  shape,
  dtype: "float32",
  data: Float32Array.from({ length: sizeOf(shape) }, () => low + (high - low) * next())
})

export const int32 = (shape: ReadonlyArray<number>, next: () => number, low: number, high: number): HostTensor => ({
  shape,
  dtype: "int32",
  data: Int32Array.from({ length: sizeOf(shape) }, () => low + Math.floor((high - low) * next()))
})

export const bool = (shape: ReadonlyArray<number>, next: () => number): HostTensor => ({
  shape,
  dtype: "bool",
  data: Uint8Array.from({ length: sizeOf(shape) }, () => Number(next() < 0.5))
})

/** The largest difference, relative to the larger of 1 and the largest expected magnitude. Infinite where names or shapes differ. */
export function distance(actual: HostTensors, expected: HostTensors): number {
  if (Object.keys(actual).sort().join() !== Object.keys(expected).sort().join()) return Infinity
  return Math.max(0, ...Object.keys(expected).map((name) => tensorDistance(actual[name]!, expected[name]!)))
}

export function tensorDistance(actual: HostTensor, expected: HostTensor): number {
  if (actual.shape.join() !== expected.shape.join() || actual.dtype !== expected.dtype) return Infinity
  let scale = 1
  let worst = 0
  for (const [index, value] of expected.data.entries()) {
    scale = Math.max(scale, Math.abs(value))
    worst = Math.max(worst, Math.abs(value - actual.data[index]!))
    if (Number.isNaN(value) !== Number.isNaN(actual.data[index]!)) return Infinity
  }
  return worst / scale
}

export const program = (run: Program["run"], weights: ReadonlyArray<string> = []): Program => ({
  name: "test program",
  weights,
  run
})

export const runOnce = (
  executor: Executor,
  program: Program,
  inputs: HostTensors,
  weights: HostTensors = {}
): Promise<HostTensors> =>
  Effect.runPromise(Effect.scoped(Effect.flatMap(executor.load(weights), (model) => model.run(program, inputs))))

/** An executor that lives until `close`, for tests that share one. */
export async function open(make: Effect.Effect<Executor, EngineError, Scope.Scope>) {
  const scope = Effect.runSync(Scope.make())
  const executor = await Effect.runPromise(Scope.provide(make, scope))
  return { executor, close: () => Effect.runPromise(Scope.close(scope, Exit.void)) }
}
