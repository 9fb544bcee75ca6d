/** What the main thread and a worker that owns tensors say to each other, whatever the worker's commands are. */
import type { HostTensors } from "./Program.ts"

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
