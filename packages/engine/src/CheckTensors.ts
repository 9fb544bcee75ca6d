/** Checks on tensors that come from the host, before they reach a native library that would only say "invalid argument". */
import * as Effect from "effect/Effect"
import { EngineError } from "./EngineError.ts"
import { showShape, sizeOf } from "./Graph.ts"
import { arrayClass } from "./HostTensors.ts"
import type { DType, HostTensor, HostTensors, Specs, TrainingProgram } from "./Program.ts"

function complaint({ shape, dtype, data }: HostTensor): string | undefined {
  if (!(data instanceof arrayClass[dtype])) {
    return `is declared ${dtype}, which needs a ${arrayClass[dtype].name}, but carries a ${(data as object).constructor.name}`
  }
  if (shape.some((length) => !Number.isInteger(length) || length < 0)) return `has the shape ${showShape(shape)}`
  if (sizeOf(shape) !== data.length)
    return `has the shape ${showShape(shape)}, which is ${sizeOf(shape)} elements, but carries ${data.length}`
  if (data.length === 0) return `has no elements (${showShape(shape)}); leave empty batches out`
  return undefined
}

const mismatch = (program: string, detail: string) =>
  Effect.fail(new EngineError({ reason: "ShapeMismatch", program, detail }))

export function checkTensors(program: string, what: string, tensors: HostTensors): Effect.Effect<void, EngineError> {
  for (const [name, tensor] of Object.entries(tensors)) {
    const problem = complaint(tensor)
    if (problem !== undefined) return mismatch(program, `${what} ${name} ${problem}`)
  }
  return Effect.void
}

/** Same names, shapes and dtypes as declared. */
export function checkAgainst(
  program: string,
  what: string,
  declared: Specs,
  given: HostTensors
): Effect.Effect<void, EngineError> {
  for (const [name, spec] of Object.entries(declared)) {
    const tensor = given[name]
    if (tensor === undefined)
      return mismatch(program, `${what} ${name} is missing; given: ${Object.keys(given).join(", ") || "none"}`)
    const shown = (one: { dtype: DType; shape: ReadonlyArray<number> }) => `${one.dtype}${showShape(one.shape)}`
    if (shown(tensor) !== shown(spec))
      return mismatch(program, `${what} ${name} must be ${shown(spec)}, got ${shown(tensor)}`)
  }
  const extra = Object.keys(given).find((name) => declared[name] === undefined)
  if (extra !== undefined)
    return mismatch(
      program,
      `${what} ${extra} is not declared; declared: ${Object.keys(declared).join(", ") || "none"}`
    )
  return checkTensors(program, what, given)
}

/** The named entries, or an error naming the one that the model doesn't hold. */
export function pick<A>(
  program: string,
  all: Readonly<Record<string, A>>,
  names: ReadonlyArray<string>
): Effect.Effect<Readonly<Record<string, A>>, EngineError> {
  const missing = names.find((name) => all[name] === undefined)
  if (missing === undefined) return Effect.succeed(Object.fromEntries(names.map((name) => [name, all[name]!])))
  const detail = `the model holds no weight ${missing}; it holds ${Object.keys(all).length} others`
  return Effect.fail(new EngineError({ reason: "InvalidProgram", program, detail }))
}

/** Rows that may overwrite a state array from row `at` on. */
export function checkEnqueue(
  { name, state: states }: TrainingProgram,
  state: string,
  at: number,
  rows: HostTensor
): Effect.Effect<void, EngineError> {
  const spec = states[state]
  if (spec === undefined) {
    const detail = `there is no state ${state}; the program has: ${Object.keys(states).join(", ") || "none"}`
    return Effect.fail(new EngineError({ reason: "InvalidProgram", program: name, detail }))
  }
  const count = rows.shape[0] ?? 0
  if (!Number.isInteger(at) || at < 0 || at + count > (spec.shape[0] ?? 0)) {
    return mismatch(name, `rows ${at} to ${at + count - 1} of the state ${state}, which is ${showShape(spec.shape)}`)
  }
  const expected = { shape: [count, ...spec.shape.slice(1)], dtype: spec.dtype }
  return checkAgainst(name, "rows of", { [state]: expected }, { [state]: rows })
}
