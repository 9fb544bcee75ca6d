/** What the main thread and a worker that owns tensors say to each other, whatever the worker's commands are. */
import type { HostTensor, HostTensors, Specs } from "./Program.ts"

/** An output of this name is written over the tensor whose name follows. */
export const inPlace = "new:"

/** What every such worker does: it keeps named tensors in numbered spaces, one per model and one per training. */
export type TensorCommand =
  | { readonly _tag: "Put"; readonly space: number; readonly tensors: HostTensors }
  | { readonly _tag: "Zeros"; readonly space: number; readonly specs: Specs }
  /** Overwrites rows from `row` on. */
  | {
      readonly _tag: "Write"
      readonly space: number
      readonly name: string
      readonly row: number
      readonly rows: HostTensor
    }
  /** Copies these tensors, named with `prefix`, into the space `into`, named with `as`. */
  | {
      readonly _tag: "Copy"
      readonly space: number
      readonly prefix: string
      readonly names: ReadonlyArray<string>
      readonly into: number
      readonly as: string
    }
  /** Copies of the tensors whose names start with `prefix`, named without it. */
  | { readonly _tag: "Read"; readonly space: number; readonly prefix: string }
  | { readonly _tag: "Drop"; readonly space: number }

/** With what decoding asks for: tensors held between runs. */
export type HeldCommand =
  | TensorCommand
  /** Of every tensor of the space these rows of its first axis. */
  | { readonly _tag: "Take"; readonly space: number; readonly rows: Int32Array }

/** Outputs that stay in a space: some under new names, of some the blocks in tensors that are there. */
export interface Holding {
  readonly space: number
  readonly keep: Readonly<Record<string, string>>
  readonly write: Readonly<Record<string, string>>
  readonly places: Int32Array
}

/** `Close` makes the worker look at `closing`, also when it has nothing to do. */
export type Request<Command> = { readonly id: number; readonly command: Command } | "Close"

export type Reply =
  | { readonly id: number; readonly _tag: "Done"; readonly tensors: HostTensors }
  | { readonly id: number; readonly _tag: "Failed"; readonly detail: string }

export interface Started {
  /** Of the native library. */
  readonly version: string
}

export type FromWorker =
  | ({ readonly _tag: "Started" } & Started)
  | { readonly _tag: "Unavailable"; readonly detail: string }
  | Reply

/** Two int32 cells, see `cell`. */
export interface Cells {
  readonly cells: Int32Array<SharedArrayBuffer>
}

/**
 * A worker must not be torn down while native code runs in it: the binding then aborts the whole process. So it says when it is
 * busy, and starts nothing once it is told to close. Each side writes its own cell before it reads the other's.
 */
export const cell = { busy: 0, closing: 1 } as const
