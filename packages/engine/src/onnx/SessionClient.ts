/** The session worker, as the main thread starts it. */
import type { Effect, Scope } from "effect"
import type { EngineError } from "../EngineError.ts"
import { startWorker, workerFile } from "../WorkerClient.ts"
import type { WorkerClient } from "../WorkerClient.ts"
import type { Command, SessionOptions } from "./Protocol.ts"

export type SessionClient = WorkerClient<Command>

export const startSessions = (options: SessionOptions): Effect.Effect<SessionClient, EngineError, Scope.Scope> =>
  startWorker<Command, SessionOptions>({
    executor: options.device === "cpu" ? "onnx" : "webgpu",
    file: workerFile("SessionWorker", import.meta.url),
    data: options
  })

let spaces = 0

/** A number that no space of the process has yet. */
export const newSpace = (): number => ++spaces
