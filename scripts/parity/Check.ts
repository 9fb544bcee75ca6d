/** One comparison with what the Python original gave: the worst error found, and the largest that is allowed. */
import type { HostTensor } from "@bootlace/engine"
import { Cause, Effect } from "effect"

export interface Check {
  readonly check: string
  readonly worst: number
  readonly tolerance: number
  readonly ok: boolean
  /** What went wrong, where a number doesn't say it. */
  readonly note?: string
}

const measured = (check: string, worst: number, tolerance: number): Check => ({
  check,
  worst,
  tolerance,
  ok: worst <= tolerance
})

/** A check that couldn't be made, which counts as failed. */
export const failed = (check: string, note: string): Check => ({ check, worst: NaN, tolerance: 0, ok: false, note })

/** Largest absolute difference; NaN when any value is. */
export const maxDifference = (actual: ArrayLike<number>, expected: ArrayLike<number>): number => {
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!)
    if (!(difference <= worst)) worst = difference
  }
  return worst
}

const maxAbsolute = (values: ArrayLike<number>): number => maxDifference(values, new Float32Array(values.length))

/** The first rows of the actual values against all of the expected ones: cases store some outputs of some rows only. */
export const close = (check: string, actual: HostTensor, expected: HostTensor, tolerance: number): Check => {
  const [rows = 1] = actual.shape
  const [wanted = 1] = expected.shape
  if (wanted > rows || actual.shape.slice(1).join() !== expected.shape.slice(1).join())
    return failed(check, `shape [${actual.shape.join()}], expected [${expected.shape.join()}]`)
  return measured(check, maxDifference(actual.data, expected.data), tolerance)
}

export const closeNumber = (check: string, actual: number, expected: number, tolerance: number): Check =>
  measured(check, Math.abs(actual - expected), tolerance)

/** [B, T, ...] where the mask [B, T] is 1: what stands at padding is nobody's output. */
export const closeWhere = (
  check: string,
  actual: HostTensor,
  expected: HostTensor,
  mask: HostTensor,
  tolerance: number
): Check => {
  const width = expected.data.length / (expected.shape[0]! * expected.shape[1]!)
  const hidden = (i: number): boolean => mask.data[Math.floor(i / width)] === 0
  const cleared = (tensor: HostTensor): HostTensor => ({
    ...tensor,
    data: Float32Array.from(tensor.data, (value, i) => (hidden(i) ? 0 : value))
  })
  return close(check, cleared(actual), cleared(expected), tolerance)
}

/** Relative to the tensor's largest entry; entries that are zero in exact arithmetic (key biases) to 1e-6. */
export const gradient = (check: string, actual: HostTensor, expected: HostTensor): Check => {
  if (actual.data.length !== expected.data.length) return close(check, actual, expected, 0)
  const scale = Math.max(maxAbsolute(expected.data), 1e-2)
  return measured(check, maxDifference(actual.data, expected.data) / scale, 1e-4)
}

/** Softmax ignores the keys' biases, so their gradients are rounding noise, which AdamW makes steps of. */
const isKeyBias = (name: string): boolean => /(k_proj|\.key)\.bias$/.test(name)

/** After AdamW steps an entry whose gradient is almost zero may have gone the other way: 99.9% tightly, all within 3 lr. */
export const trained = (name: string, actual: HostTensor, expected: HostTensor, lr: number): ReadonlyArray<Check> => {
  if (actual.data.length !== expected.data.length) return [close(name, actual, expected, 0)]
  const count = expected.data.length
  // A fused bias of queries, keys and values has the keys' in its middle.
  const isFusedKey = (i: number): boolean => name.endsWith("in_proj_bias") && Math.floor((3 * i) / count) === 1
  const differences = Float64Array.from(expected.data, (value, i) =>
    isFusedKey(i) ? 0 : Math.abs(actual.data[i]! - value)
  ).sort()
  const whole = measured(`${name} largest`, maxDifference(actual.data, expected.data), 3 * lr)
  const most = differences[Math.floor(0.999 * (differences.length - 1))]!
  return isKeyBias(name) ? [whole] : [measured(`${name} 99.9%`, most, 2e-5), whole]
}

/** How many items differ; none may. */
export const same = <A>(check: string, items: ReadonlyArray<A>, differs: (item: A) => string | undefined): Check => {
  const notes = items.map(differs).filter((note) => note !== undefined)
  const base = measured(check, notes.length, 0)
  return notes.length === 0 ? base : { ...base, note: notes[0]! }
}

/** Worst error over items that are computed one by one; the worst item is named. */
export const worstOf = Effect.fnUntraced(function* <A, E, R>(
  check: string,
  items: ReadonlyArray<A>,
  tolerance: number,
  error: (item: A) => Effect.Effect<number, E, R>
) {
  let worst = 0
  let note = ""
  for (const item of items) {
    const result = yield* Effect.result(error(item))
    const value = result._tag === "Success" ? result.success : Infinity
    const why = result._tag === "Failure" ? `: ${String(result.failure)}` : ""
    if (!(value <= worst)) [worst, note] = [value, String(item) + why]
  }
  const base = measured(check, worst, tolerance)
  return base.ok ? base : { ...base, note }
})

/** Checks that may fail as a whole: a file that can't be read, a program that doesn't run. */
export const guarded = <R>(
  name: string,
  checks: Effect.Effect<ReadonlyArray<Check>, unknown, R>
): Effect.Effect<ReadonlyArray<Check>, never, R> =>
  Effect.catchCause(checks, (cause) => Effect.succeed([failed(name, String(Cause.squash(cause)))]))
