/** How one tfjs kernel is recorded: its inputs' values and attributes in, its results' values out. */
import type { NamedAttrMap } from "@tensorflow/tfjs-core"
import type { Value } from "../Graph.ts"

export interface Kernel {
  /** tfjs's kernel name. */
  readonly name: string
  /** What it accepts or how it differs from tfjs, for docs/kernels.md. */
  readonly note: string
  readonly build: (inputs: Readonly<Record<string, Value>>, attributes: NamedAttrMap) => Value | ReadonlyArray<Value>
}

export const kernel = (name: string, note: string, build: Kernel["build"]): Kernel => ({ name, note, build })

/** Numbered inputs ("0", "1", ...) in order, as Concat, Pack and AddN get them. */
export const listed = (inputs: Readonly<Record<string, Value>>): ReadonlyArray<Value> =>
  Object.keys(inputs)
    .sort((a, b) => Number(a) - Number(b))
    .map((key) => inputs[key]!)
