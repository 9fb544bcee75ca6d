/**
 * What the main thread and the worker that owns the tensors say to each other.
 *
 * The worker keeps named tensors in numbered spaces (one per model, one per training) and compiled models as sessions. It knows
 * nothing of training: `Run` finds each input of a session by name among the given tensors, then in the given spaces.
 * An output whose name is in a space is written there, an output `new:NAME` over the tensor NAME that the session may be
 * reading, one named in `holding` stays; all others come back.
 */
import type { InferenceSession } from "onnxruntime-common"
import type { HostTensors, Specs } from "../Program.ts"
import type { HeldCommand, Holding } from "../WorkerProtocol.ts"
import type { PositionBounds } from "./PositionBounds.ts"

/** Where sessions compute and tensors are kept: the processor, or what WebGPU finds. */
export type Device = "cpu" | "webgpu"

export type MemoryCommand =
  | HeldCommand
  /** Fills the tensors whose names start with `prefix` with zeros, in place. */
  | { readonly _tag: "Clear"; readonly space: number; readonly prefix: string }
  /**
   * Moves tensors together: each group of names (with `prefix`) becomes one stretch of memory, of which the tensors are parts from then on; one
   * alone stays where it is. The stretches are kept in the space `into` in pieces of so many elements, vectors named `prefix`, the group's number,
   * a dot and the piece's.
   */
  | {
      readonly _tag: "Pack"
      readonly space: number
      readonly prefix: string
      readonly groups: Readonly<Record<string, ReadonlyArray<string>>>
      readonly piece: number
      readonly into: number
    }
  /** Holds these weights in 8 bits too, the largest of each output as the integer `levels`. */
  | {
      readonly _tag: "Quantize"
      readonly space: number
      readonly weights: ReadonlyArray<string>
      readonly levels: number
    }

export interface CompileCommand {
  readonly _tag: "Compile"
  readonly session: number
  /** The program's name, for its profile. */
  readonly program: string
  readonly model: Uint8Array
  readonly arena: boolean
  /** Run as it is: ONNX Runtime's own rewriting would move what has its order, or would find nothing. */
  readonly asWritten: boolean
  /** Outputs that are left on the device. */
  readonly resident: ReadonlyArray<string>
}

export interface RunCommand {
  readonly _tag: "Run"
  readonly session: number
  readonly spaces: ReadonlyArray<number>
  readonly inputs: HostTensors
  readonly holding?: Holding
  /** Of a session that doesn't copy what it writes (Uncopied.ts): all its outputs. */
  readonly outputs?: Specs
  /** What the positions among the inputs have to be, where a device doesn't say that they aren't. */
  readonly bounds?: PositionBounds
}

export type Command =
  | MemoryCommand
  | CompileCommand
  | { readonly _tag: "Release"; readonly session: number }
  | RunCommand

/** What the worker keeps its tensors in. */
export interface TensorMemory {
  readonly answer: (command: MemoryCommand) => Promise<HostTensors> | HostTensors
  readonly run: (session: InferenceSession, command: RunCommand) => Promise<HostTensors>
}

export interface SessionOptions {
  readonly device: Device
  readonly threads: number
  /** A folder that gets the kernels' times of each session's first runs. Absent: nothing is profiled. */
  readonly profile?: string
}
