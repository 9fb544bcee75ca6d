/** Which executors run on this machine, and what the others lack. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type { EagerBackend } from "./eager/TfjsBackend.ts"
import { loadBackend } from "./eager/TfjsBackend.ts"
import type { EngineError } from "./EngineError.ts"
import { instructionSet } from "./InstructionSet.ts"
import { startSessions } from "./onnx/SessionClient.ts"
import type { Executor } from "./Program.ts"
import { installedBinding } from "./tensorflow/install/Installation.ts"
import { startTensorflow } from "./tensorflow/TensorflowExecutor.ts"

export interface Diagnosis {
  readonly executor: Executor["name"]
  /** The backend, of an eager one. */
  readonly backend?: EagerBackend
  readonly available: boolean
  readonly detail: string
}

const examine = (base: Pick<Diagnosis, "executor" | "backend">, attempt: Effect.Effect<string, EngineError>) =>
  attempt.pipe(
    Effect.map((detail): Diagnosis => ({ ...base, available: true, detail })),
    Effect.catch((error) => Effect.succeed<Diagnosis>({ ...base, available: false, detail: error.detail }))
  )

const onnx = Effect.scoped(startSessions({ device: "cpu", threads: 1 })).pipe(
  Effect.map(({ version }) => `onnxruntime-node ${version}, cpu ${instructionSet()}`)
)

const webgpu = Effect.scoped(startSessions({ device: "webgpu", threads: 1 })).pipe(
  Effect.map(({ version }) => `onnxruntime-node ${version}, fp32`)
)

const tensorflow = Effect.scoped(Effect.flatMap(installedBinding, startTensorflow)).pipe(
  Effect.map(({ version }) => `TensorFlow ${version} ${instructionSet()}, fp32 and bf16`)
)

/** Loads each executor in turn; never fails. */
export const engineDoctor: Effect.Effect<ReadonlyArray<Diagnosis>> = Effect.all([
  examine({ executor: "onnx" }, onnx),
  examine({ executor: "tensorflow" }, tensorflow),
  examine({ executor: "webgpu" }, webgpu),
  examine({ executor: "eager", backend: "cpu" }, Effect.succeed(`tfjs ${tf.version_core}, JavaScript`)),
  examine(
    { executor: "eager", backend: "tensorflow" },
    Effect.as(loadBackend("tensorflow"), `tfjs ${tf.version_core} on libtensorflow`)
  )
])
