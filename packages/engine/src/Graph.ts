/**
 * A captured tensor program as a value: static shapes, named inputs and outputs, every operation once, in an order in which
 * each reads only earlier ones. Only what the outputs need is in it.
 *
 * Operations carry ONNX's names where ONNX has them. The others:
 *   Input    a tensor bound at each run             Constant  values known at capture
 *   Splat    one number in every element            Out       output `index` of an operation that has several
 *   ScatterAdd  rows of a [n, R] added into zeros [rows, R], or into a third operand, at int32 positions [n]
 *   AddAt       one number a row [n, 1] added into [n, V] at int32 positions [n, 1]
 */
import type { DType } from "./Program.ts"

export type Attribute = number | string | boolean | ReadonlyArray<number>

export interface Value {
  /** Grows with creation, so an operation's id is above those of its inputs. */
  readonly id: number
  /** The recording it was made in; constants are free to be used in another. */
  readonly recording: number
  readonly op: string
  readonly inputs: ReadonlyArray<Value>
  readonly attributes: Readonly<Record<string, Attribute>>
  readonly shape: ReadonlyArray<number>
  readonly dtype: DType
  /** Of a Constant. */
  readonly data?: Float32Array | Int32Array | Uint8Array
}

export interface Graph {
  readonly name: string
  readonly inputs: Readonly<Record<string, Value>>
  readonly outputs: Readonly<Record<string, Value>>
  readonly values: ReadonlyArray<Value>
  /** Values that are best computed in this order. */
  readonly order?: ReadonlyArray<Value>
}

/** The graph that gives these outputs; inputs that nothing reads are left out. */
export function makeGraph(name: string, outputs: Readonly<Record<string, Value>>): Graph {
  const reached = new Set<Value>()
  const pending = Object.values(outputs)
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (reached.has(value)) continue
    reached.add(value)
    pending.push(...value.inputs)
  }
  const values = [...reached].sort((a, b) => a.id - b.id)
  const inputs = values.filter((value) => value.op === "Input").map((value) => [value.attributes.name as string, value])
  return { name, inputs: Object.fromEntries(inputs), outputs, values }
}

export const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((product, length) => product * length, 1)

export const sameShape = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((length, axis) => length === b[axis])

/** `[2,3]`; a scalar is `[]`. */
export const showShape = (shape: ReadonlyArray<number>): string => `[${shape.join(",")}]`
