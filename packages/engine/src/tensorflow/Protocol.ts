/**
 * What the main thread says to the worker that owns TensorFlow's tensors.
 *
 * The worker keeps named tensors in numbered spaces (one per model, one per training). A tensor is a value by itself or a variable of a
 * model; it moves where a run needs it. `Run` finds each feed of an entry by name among the given tensors, then in the given spaces. An
 * output `new:NAME` takes the place of the tensor NAME, one named in `holding` stays; all others come back.
 */
import type { HostTensors } from "../Program.ts"
import type { HeldCommand, Holding } from "../WorkerProtocol.ts"
import type { CompiledModel } from "./Model.ts"

/** Of a variable, `Write` goes through its model's entry `write:NAME`. */
export type Command =
  | HeldCommand
  | { readonly _tag: "Compile"; readonly model: number; readonly compiled: CompiledModel }
  /** Variables that the model still holds become values again. */
  | { readonly _tag: "Release"; readonly model: number }
  | {
      readonly _tag: "Run"
      readonly model: number
      readonly entry: string
      readonly spaces: ReadonlyArray<number>
      readonly inputs: HostTensors
      readonly holding?: Holding
    }

export interface TensorflowData {
  /** The compiled binding, a .node file. */
  readonly binding: string
}
