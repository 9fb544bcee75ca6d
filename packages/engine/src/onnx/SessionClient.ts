/** The main thread's side of the session worker: starts it, asks, and turns its death into an error for everyone who waits. */
import { Worker } from "node:worker_threads"
import { Effect } from "effect"
import type { Scope } from "effect"
import { EngineError } from "../EngineError.ts"
import type { HostTensors } from "../Program.ts"
import { cell } from "./Protocol.ts"
import type { Command, FromWorker, Reply, Request, Started, WorkerOptions } from "./Protocol.ts"

export type SessionOptions = Pick<WorkerOptions, "threads" | "profile">

export interface SessionClient extends Started {
  /** `program` names the error, if there is one. `moved` buffers go to the worker as they are, all others as copies. */
  readonly ask: (
    program: string,
    command: Command,
    moved?: ReadonlyArray<ArrayBuffer>
  ) => Effect.Effect<HostTensors, EngineError>
  /** Ends the worker after the call it is in; calls that wait behind that one fail. */
  readonly stop: Effect.Effect<void>
}

interface Waiting {
  readonly program: string
  readonly resume: (effect: Effect.Effect<HostTensors, EngineError>) => void
}

/** Type stripping runs the source, a package runs the compiled file beside this one. */
const workerFile = () =>
  new URL(`./SessionWorker${new URL(import.meta.url).pathname.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

export const startSessions = (options: SessionOptions): Effect.Effect<SessionClient, EngineError, Scope.Scope> =>
  Effect.acquireRelease(start(options), (client) => client.stop)

const start = (options: SessionOptions): Effect.Effect<SessionClient, EngineError> =>
  Effect.callback((resume) => {
    const cells = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(workerFile(), { workerData: { ...options, cells } satisfies WorkerOptions })
    const calls = new Calls(worker, cells)
    const unavailable = (detail: string) =>
      resume(Effect.fail(new EngineError({ reason: "Unavailable", program: "onnx executor", detail })))
    const end = (detail: string) => {
      calls.fail(detail)
      unavailable(detail)
    }
    const awaitIdle = () => calls.awaitIdle()
    process.on("exit", awaitIdle)
    worker.on("error", (cause) => end(cause instanceof Error ? cause.message : String(cause)))
    worker.on("exit", (code) => {
      process.off("exit", awaitIdle)
      end(`the worker thread has ended (code ${code})`)
    })
    worker.on("message", (message: FromWorker) => {
      if (message._tag === "Unavailable") end(`onnxruntime-node doesn't load here: ${message.detail}`)
      else if (message._tag !== "Started") calls.settle(message)
      else {
        worker.unref()
        resume(
          Effect.succeed({
            version: message.version,
            ask: (program, command, moved) => calls.ask(program, command, moved),
            stop: calls.stop
          })
        )
      }
    })
    return calls.stop
  })

/** The requests that wait for a reply. The worker keeps the process alive only while there are some. */
class Calls {
  readonly #worker: Worker
  readonly #cells: Int32Array<SharedArrayBuffer>
  readonly #waiting = new Map<number, Waiting>()
  #ids = 0
  #ended: string | undefined
  #stopping = false

  constructor(worker: Worker, cells: Int32Array<SharedArrayBuffer>) {
    this.#worker = worker
    this.#cells = cells
  }

  ask(
    program: string,
    command: Command,
    moved: ReadonlyArray<ArrayBuffer> = []
  ): Effect.Effect<HostTensors, EngineError> {
    return Effect.callback((resume) => {
      if (this.#ended !== undefined) return resume(gone(program, this.#ended))
      const id = ++this.#ids
      this.#waiting.set(id, { program, resume })
      this.#send({ id, command }, moved)
    })
  }

  settle(reply: Reply): void {
    const call = this.#waiting.get(reply.id)
    this.#waiting.delete(reply.id)
    if (this.#waiting.size === 0 && !this.#stopping) this.#worker.unref()
    if (reply._tag === "Done") call?.resume(Effect.succeed(reply.tensors))
    else
      call?.resume(Effect.fail(new EngineError({ reason: "Execution", program: call.program, detail: reply.detail })))
  }

  fail(detail: string): void {
    this.#ended ??= detail
    for (const { program, resume } of this.#waiting.values()) resume(gone(program, detail))
    this.#waiting.clear()
  }

  readonly stop: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.#ended !== undefined) return resume(Effect.void)
    this.#stopping = true
    this.#worker.once("exit", () => resume(Effect.void))
    Atomics.store(this.#cells, cell.closing, 1)
    this.#send("Close")
  })

  /** For the end of the process, synchronously: lets no further call begin, and waits for the one that runs. */
  awaitIdle(): void {
    Atomics.store(this.#cells, cell.closing, 1)
    Atomics.wait(this.#cells, cell.busy, 1)
  }

  #send(request: Request, moved: ReadonlyArray<ArrayBuffer> = []): void {
    this.#worker.ref()
    this.#worker.postMessage(request, moved)
  }
}

const gone = (program: string, detail: string) =>
  Effect.fail(new EngineError({ reason: "Execution", program, detail: `the onnx executor is gone: ${detail}` }))
