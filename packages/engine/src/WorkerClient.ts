/** The main thread's side of an executor's worker: starts it, asks, and turns its death into an error for everyone who waits. */
import { Worker } from "node:worker_threads"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { EngineError } from "./EngineError.ts"
import type { HostTensors } from "./Program.ts"
import { cell } from "./WorkerProtocol.ts"
import type { Cells, FromWorker, Reply, Request, Started } from "./WorkerProtocol.ts"

export interface WorkerClient<Command> extends Started {
  /** `program` names the error, if there is one. `moved` buffers go to the worker as they are, all others as copies. */
  readonly ask: (
    program: string,
    command: Command,
    moved?: ReadonlyArray<ArrayBuffer>
  ) => Effect.Effect<HostTensors, EngineError>
  /** Ends the worker after the call it is in; calls that wait behind that one fail. */
  readonly stop: Effect.Effect<void>
}

export interface WorkerSettings<Data> {
  /** `onnx` in "the onnx executor is gone". */
  readonly executor: string
  readonly file: URL
  readonly data: Data
}

interface Waiting {
  readonly program: string
  readonly resume: (effect: Effect.Effect<HostTensors, EngineError>) => void
}

/** A worker's file beside the one at `url`: type stripping runs the source, a package runs the compiled file. */
export const workerFile = (name: string, url: string): URL =>
  new URL(`./${name}${new URL(url).pathname.endsWith(".ts") ? ".ts" : ".js"}`, url)

/** Fails with Unavailable where the worker can't load its native library. */
export const startWorker = <Command, Data extends object>(
  settings: WorkerSettings<Data>
): Effect.Effect<WorkerClient<Command>, EngineError, Scope.Scope> =>
  Effect.acquireRelease(start<Command, Data>(settings), (client) => client.stop)

const start = <Command, Data extends object>({
  executor,
  file,
  data
}: WorkerSettings<Data>): Effect.Effect<WorkerClient<Command>, EngineError> =>
  Effect.callback((resume) => {
    const cells = new Int32Array(new SharedArrayBuffer(8))
    const worker = new Worker(file, { workerData: { ...data, cells } satisfies Data & Cells })
    const calls = new Calls<Command>(executor, worker, cells)
    const unavailable = (detail: string) =>
      resume(Effect.fail(new EngineError({ reason: "Unavailable", program: `${executor} executor`, detail })))
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
      if (message._tag === "Unavailable") end(message.detail)
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
class Calls<Command> {
  readonly #executor: string
  readonly #worker: Worker
  readonly #cells: Int32Array<SharedArrayBuffer>
  readonly #waiting = new Map<number, Waiting>()
  #ids = 0
  #ended: string | undefined
  #stopping = false

  constructor(executor: string, worker: Worker, cells: Int32Array<SharedArrayBuffer>) {
    this.#executor = executor
    this.#worker = worker
    this.#cells = cells
  }

  ask(
    program: string,
    command: Command,
    moved: ReadonlyArray<ArrayBuffer> = []
  ): Effect.Effect<HostTensors, EngineError> {
    return Effect.callback((resume) => {
      if (this.#ended !== undefined) return resume(this.#gone(program, this.#ended))
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
    for (const { program, resume } of this.#waiting.values()) resume(this.#gone(program, detail))
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

  #send(request: Request<Command>, moved: ReadonlyArray<ArrayBuffer> = []): void {
    this.#worker.ref()
    this.#worker.postMessage(request, moved)
  }

  #gone(program: string, detail: string): Effect.Effect<never, EngineError> {
    const text = `the ${this.#executor} executor is gone: ${detail}`
    return Effect.fail(new EngineError({ reason: "Execution", program, detail: text }))
  }
}
