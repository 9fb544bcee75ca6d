/**
 * What is being captured right now. tfjs has one active backend per process, so there is one recording at a time.
 *
 * Values are shared as they are made: an operation on the same inputs with the same attributes is the same value
 * (common subexpressions), and a constant tensor of equal elements is a Splat, which the rules in `ops/` see through.
 */
import { EngineError } from "./EngineError.ts"
import type { Attribute, Value } from "./Graph.ts"
import { sizeOf } from "./Graph.ts"
import type { DType } from "./Program.ts"

interface Recording {
  readonly number: number
  readonly program: string
  readonly shared: Map<string, Value>
  /** The kernel being recorded, for errors. */
  kernel: string
}

let recording: Recording | undefined
let recordings = 0
let values = 0

/** Runs `build` with a fresh recording. Not reentrant: a program can't capture another. */
export function record<A>(program: string, build: () => A): A {
  if (recording !== undefined) {
    throw new EngineError({
      reason: "InvalidProgram",
      program,
      detail: `capture started while ${recording.program} is being captured`
    })
  }
  recording = { number: ++recordings, program, shared: new Map(), kernel: "" }
  try {
    return build()
  } finally {
    recording = undefined
  }
}

export const isRecording = (): boolean => recording !== undefined

/** Names the kernel that errors blame while `build` runs. */
export function inKernel<A>(kernel: string, build: () => A): A {
  const open = recording ?? fail(`kernel ${kernel} called on the capture backend outside a capture`, "InvalidProgram")
  const outer = open.kernel
  open.kernel = kernel
  try {
    return build()
  } finally {
    open.kernel = outer
  }
}

export function fail(detail: string, reason: EngineError["reason"] = "ShapeMismatch"): never {
  throw new EngineError({
    reason,
    program: recording?.program ?? "no program",
    ...(recording?.kernel ? { op: recording.kernel } : {}),
    detail
  })
}

/** The value of an operation; the one already made, if there is one. */
export function make(
  op: string,
  inputs: ReadonlyArray<Value>,
  shape: ReadonlyArray<number>,
  dtype: DType,
  attributes: Readonly<Record<string, Attribute>> = {}
): Value {
  if (recording === undefined) return fail(`${op} made outside a capture`, "InvalidProgram")
  if (sizeOf(shape) === 0) return fail(`the result of ${op} would have no elements: [${shape.join(",")}]`)
  const key = `${op}(${inputs.map((input) => input.id).join()})${JSON.stringify(Object.entries(attributes).map(String))}${dtype}[${shape.join()}]`
  const known = recording.shared.get(key)
  if (known !== undefined) return known
  const value: Value = { id: ++values, recording: recording.number, op, inputs, attributes, shape: [...shape], dtype }
  recording.shared.set(key, value)
  return value
}

export const input = (name: string, shape: ReadonlyArray<number>, dtype: DType): Value =>
  make("Input", [], shape, dtype, { name })

export const splat = (value: number, shape: ReadonlyArray<number>, dtype: DType): Value =>
  make("Splat", [], shape, dtype, { value: dtype === "float32" ? Math.fround(value) : value })

/** The number in every element of a Splat, else undefined. */
export const splatOf = (value: Value): number | undefined =>
  value.op === "Splat" ? (value.attributes.value as number) : undefined

export const isSplat = (value: Value, number: number): boolean => splatOf(value) === number

export function constant(
  data: Float32Array | Int32Array | Uint8Array,
  shape: ReadonlyArray<number>,
  dtype: DType
): Value {
  const first = data[0]
  if (first !== undefined && recording !== undefined && data.every((element) => element === first)) {
    return splat(first, shape, dtype)
  }
  return {
    id: ++values,
    recording: recording?.number ?? 0,
    op: "Constant",
    inputs: [],
    attributes: {},
    shape: [...shape],
    dtype,
    data
  }
}

/** Refuses a value of another recording: the program kept a tensor from an earlier run of itself. */
export function assertCurrent(value: Value): Value {
  const free = value.op === "Constant" || value.op === "Splat"
  if (!free && recording !== undefined && value.recording !== recording.number) {
    fail(
      `a ${value.op} result of an earlier capture is used; programs must not keep tensors between runs`,
      "InvalidProgram"
    )
  }
  return value
}
