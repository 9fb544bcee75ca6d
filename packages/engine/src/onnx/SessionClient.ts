/** The main thread's side of the session worker: starts it, asks, and turns its death into an error for everyone who waits. */
import { Worker } from "node:worker_threads"
import { Effect } from "effect"
import type { Scope } from "effect"
import { EngineError } from "../EngineError.ts"
import type { HostTensors } from "../Program.ts"
import type { Command, FromWorker, Request, Started, WorkerOptions } from "./Protocol.ts"

export interface SessionClient extends Started {
  /** `program` names the error, if there is one. */
  readonly ask: (program: string, command: Command) => Effect.Effect<HostTensors, EngineError>
  /** Ends the worker at once, whatever it is doing. */
  readonly kill: Effect.Effect<void>
}

interface Waiting {
  readonly program: string
  readonly resume: (effect: Effect.Effect<HostTensors, EngineError>) => void
}

/** Type stripping runs the source, a package runs the compiled file beside this one. */
const workerFile = () =>
  new URL(`./SessionWorker${new URL(import.meta.url).pathname.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

const unavailable = (detail: string) => new EngineError({ reason: "Unavailable", program: "onnx executor", detail })

export const startSessions = (options: WorkerOptions): Effect.Effect<SessionClient, EngineError, Scope.Scope> =>
  Effect.acquireRelease(start(options), (client) => client.kill)

const start = (options: WorkerOptions): Effect.Effect<SessionClient, EngineError> =>
  Effect.callback((resume) => {
    const worker = new Worker(workerFile(), { workerData: options })
    const waiting = new Map<number, Waiting>()
    let ids = 0
    let dead: string | undefined
    const fail = (detail: string) => {
      dead ??= detail
      for (const { program, resume: give } of waiting.values()) give(stopped(program, detail))
      waiting.clear()
      resume(Effect.fail(unavailable(detail)))
    }
    const settle = (id: number, give: (one: Waiting) => Effect.Effect<HostTensors, EngineError>) => {
      const one = waiting.get(id)
      waiting.delete(id)
      if (waiting.size === 0) worker.unref()
      one?.resume(give(one))
    }
    const ask = (program: string, command: Command) =>
      Effect.callback<HostTensors, EngineError>((give) => {
        if (dead !== undefined) return give(stopped(program, dead))
        const request: Request = { id: ++ids, command }
        waiting.set(request.id, { program, resume: give })
        worker.ref()
        worker.postMessage(request)
      })
    const kill = Effect.promise(() => worker.terminate()).pipe(Effect.asVoid)
    worker.on("error", (cause) => fail(cause instanceof Error ? cause.message : String(cause)))
    worker.on("exit", (code) => fail(`the worker thread has ended (code ${code})`))
    worker.on("message", (message: FromWorker) => {
      switch (message._tag) {
        case "Started":
          worker.unref()
          return resume(Effect.succeed({ version: message.version, ask, kill }))
        case "Unavailable":
          return fail(`onnxruntime-node doesn't load here: ${message.detail}`)
        case "Done":
          return settle(message.id, () => Effect.succeed(message.tensors))
        case "Failed":
          return settle(message.id, ({ program }) =>
            Effect.fail(new EngineError({ reason: "Execution", program, detail: message.detail }))
          )
      }
    })
    return kill
  })

const stopped = (program: string, detail: string) =>
  Effect.fail(new EngineError({ reason: "Execution", program, detail: `the onnx executor is gone: ${detail}` }))
