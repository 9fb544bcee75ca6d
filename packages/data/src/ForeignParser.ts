/**
 * Foreign Parquet and Arrow files, parsed in a child process with bounded memory and a time limit: a file that makes a library
 * hang or stops its process costs one error and a new child, never the run.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { RecordBatch } from "apache-arrow"
import { fork } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { attempt, DataError } from "./DataError.ts"
import type { WantedColumn } from "./ForeignColumns.ts"
import type { ForeignFormat, ForeignShape } from "./ForeignFile.ts"
import type { Limits } from "./limits.ts"
import { decodeShard } from "./Shards.ts"

interface ForeignRequest {
  readonly format: ForeignFormat
  readonly path: string
  readonly limits: Limits
}

export type ParserRequest =
  | (ForeignRequest & { readonly kind: "inspect" })
  | (ForeignRequest & {
      readonly kind: "read"
      readonly shard: number
      readonly wanted: ReadonlyArray<WantedColumn>
    })

export type ParserReply =
  | { readonly kind: "ready" }
  | { readonly kind: "shape"; readonly shape: ForeignShape }
  | { readonly kind: "shard"; readonly bytes: Uint8Array }
  | { readonly kind: "error"; readonly error: typeof DataError.Encoded }

export interface ForeignParser {
  readonly inspect: (format: ForeignFormat, path: string) => Effect.Effect<ForeignShape, DataError>
  readonly read: (
    format: ForeignFormat,
    path: string,
    shard: number,
    wanted: ReadonlyArray<WantedColumn>
  ) => Effect.Effect<RecordBatch, DataError>
}

/** Sources run by type stripping, the published package as JavaScript: the module beside this one has the same ending. */
const parserModule = new URL(`./ParserProcess${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

/** Milliseconds for a child to come up; its own work is limited by `parser_timeout_ms`. */
const startTimeout_ms = 30_000

const startChild = (limits: Limits, module: URL): ChildProcess => {
  const child = fork(fileURLToPath(module), {
    execArgv: [
      `--max-old-space-size=${limits.parser_memory_mib}`,
      "--permission",
      "--allow-fs-read=*",
      "--allow-worker"
    ],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "ignore", "ipc"],
    // Windows starts no process without SystemRoot; nothing else of the environment is the parser's business.
    env: process.env["SystemRoot"] === undefined ? {} : { SystemRoot: process.env["SystemRoot"] }
  })
  child.unref()
  child.channel?.unref()
  return child
}

const stopped = (file: string, detail: string, hint: string): DataError =>
  new DataError({ code: "ParserStopped", file, detail, hint })

/** The next message of a child, within a time. The child is killed when it is late. */
const nextReply = (child: ChildProcess, file: string, timeout_ms: number): Effect.Effect<ParserReply, DataError> =>
  Effect.callback((resume) => {
    const onMessage = (reply: unknown): void => finish(Effect.succeed(reply as ParserReply))
    const onExit = (code: number | null, signal: string | null): void => {
      const how = signal === null ? `code ${code}` : `signal ${signal}`
      finish(
        Effect.fail(stopped(file, `it ended with ${how}`, "the file is damaged, or raise limits.parser_memory_mib"))
      )
    }
    const timer = setTimeout(() => {
      child.kill("SIGKILL")
      const hint = "the file is damaged, or raise limits.parser_timeout_ms"
      finish(Effect.fail(stopped(file, `no answer within ${timeout_ms} ms`, hint)))
    }, timeout_ms)
    const clear = (): void => {
      clearTimeout(timer)
      child.off("message", onMessage)
      child.off("exit", onExit)
    }
    const finish = (result: Effect.Effect<ParserReply, DataError>): void => {
      clear()
      resume(result)
    }
    if (child.exitCode !== null || child.signalCode !== null) return onExit(child.exitCode, child.signalCode)
    child.on("message", onMessage)
    child.on("exit", onExit)
    return Effect.sync(() => {
      clear()
      child.kill("SIGKILL")
    })
  })

/** A parser that starts its child with the first request and ends it with the scope. One request at a time. */
export const makeForeignParser = Effect.fnUntraced(function* (limits: Limits, module: URL = parserModule) {
  let current: ChildProcess | undefined
  yield* Effect.addFinalizer(() => Effect.sync(() => current?.kill("SIGKILL")))
  const lock = yield* Semaphore.make(1)

  const running = Effect.fnUntraced(function* (file: string) {
    if (current?.connected === true && current.exitCode === null && !current.killed) return current
    const child = startChild(limits, module)
    current = child
    yield* nextReply(child, file, startTimeout_ms)
    return child
  })

  const ask = (request: ParserRequest): Effect.Effect<ParserReply, DataError> =>
    lock.withPermits(1)(
      Effect.gen(function* () {
        const child = yield* running(request.path)
        child.send(request)
        const reply = yield* nextReply(child, request.path, limits.parser_timeout_ms)
        return reply.kind === "error" ? yield* new DataError(reply.error) : reply
      })
    )

  const unexpected = (path: string): DataError => stopped(path, "it gave an answer of another kind", "report this")
  const inspect: ForeignParser["inspect"] = Effect.fnUntraced(function* (format, path) {
    const reply = yield* ask({ kind: "inspect", format, path, limits })
    return reply.kind === "shape" ? reply.shape : yield* unexpected(path)
  })
  const read: ForeignParser["read"] = Effect.fnUntraced(function* (format, path, shard, wanted) {
    const reply = yield* ask({ kind: "read", format, path, shard, wanted, limits })
    if (reply.kind !== "shard") return yield* unexpected(path)
    return yield* attempt({ code: "BadArrow", file: path }, () => decodeShard(reply.bytes, path)[0]!)
  })
  const parser: ForeignParser = { inspect, read }
  return parser
})
