/**
 * What the main thread says to the worker that owns TensorFlow's tensors.
 *
 * The worker keeps named tensors in numbered spaces (one per model, one per training). A tensor is a value by itself or a variable of a
 * model; it moves where a run needs it. `Run` finds each feed of an entry by name among the given tensors, then in the given spaces. An
 * output `new:NAME` takes the place of the tensor NAME; all others come back.
 */
import type { HostTensor, HostTensors, Specs } from "../Program.ts"
import type { CompiledModel } from "./Model.ts"

export { inPlace } from "../onnx/Protocol.ts"

export type Command =
  | { readonly _tag: "Put"; readonly space: number; readonly tensors: HostTensors }
  | { readonly _tag: "Zeros"; readonly space: number; readonly specs: Specs }
  /** Overwrites rows from `row` on, by the entry `write:NAME` where the tensor is a variable. */
  | {
      readonly _tag: "Write"
      readonly space: number
      readonly name: string
      readonly row: number
      readonly rows: HostTensor
    }
  /** Copies of the tensors whose names start with `prefix`, named without it. */
  | { readonly _tag: "Read"; readonly space: number; readonly prefix: string }
  | { readonly _tag: "Drop"; readonly space: number }
  | { readonly _tag: "Compile"; readonly model: number; readonly compiled: CompiledModel }
  /** Variables that the model still holds become values again. */
  | { readonly _tag: "Release"; readonly model: number }
  | {
      readonly _tag: "Run"
      readonly model: number
      readonly entry: string
      readonly spaces: ReadonlyArray<number>
      readonly inputs: HostTensors
    }

export interface TensorflowData {
  /** The compiled binding, a .node file. */
  readonly binding: string
}
