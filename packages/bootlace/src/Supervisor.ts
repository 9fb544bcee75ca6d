/**
 * Supervisor: the process that `bootlace run` starts as. It starts the one that runs, and waits.
 *
 *   signals   ->  passed on as messages; who doesn't stop within two seconds is killed
 *   messages  <-  which node is at work, and on how many rows
 *   exit code <-  the run's own
 *
 * A process whose heap is full, that the system kills for want of memory or that crashes in native code can't say what it was
 * doing, nor end with a code of its own choice. This one can: it ends with 1 and names the node, the rows and the command that
 * goes on. If it is gone itself, the run ends. It loads nothing but a few modules of Node: it is there in no time.
 */
import { fork } from "node:child_process"
import { getCompileCacheDir } from "node:module"
import { extname, join } from "node:path"
import { getHeapStatistics } from "node:v8"
import { farewell, patience_ms, signalCodes, stopSignals } from "./Signals.ts"
import type { StopSignal } from "./Signals.ts"
import type { Work } from "./Supervised.ts"
import { commandLine } from "./Typed.ts"

const args = process.argv.slice(2)
const program = join(import.meta.dirname, `Process${extname(import.meta.filename)}`)
const cache = getCompileCacheDir()
const child = fork(program, args, {
  stdio: "inherit",
  env: { ...process.env, ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }) }
})

let work: Work | undefined
let signalled: StopSignal | undefined

const pass = (signal: StopSignal): void => {
  signalled ??= signal
  child.send(signal, () => undefined)
  // The run's own patience comes first.
  setTimeout(() => child.kill("SIGKILL"), patience_ms + 300).unref()
}
for (const signal of stopSignals) process.on(signal, pass)

const cause = (signal: NodeJS.Signals | "SIGABRT"): string => {
  const heap_mib = Math.round(getHeapStatistics().heap_size_limit / 2 ** 20)
  if (signal === "SIGABRT")
    return `its process gave up (${signal}), as it does when its heap of ${heap_mib} MiB is full`
  if (signal === "SIGKILL") return `its process was killed (${signal}), as systems do that are out of memory`
  return `its process crashed (${signal}), most likely in native code`
}

/** The error of a run that could not say it itself. */
const epitaph = (signal: NodeJS.Signals): string => {
  const rows = work?.rows === undefined ? "" : ` on ${work.rows} rows`
  const size = work?.batch_size === undefined ? "" : `, batch_size ${work.batch_size}`
  const node = work === undefined ? "run" : work.node
  const doing = work === undefined ? "" : `, at work${rows}${size}`
  const less = work?.batch_size === undefined ? "" : `lower batch_size of ${work.node}, or `
  return [
    `error[R425] node=${node}${doing}: ${cause(signal)}`,
    `hint: ${less}give it more memory, e.g. NODE_OPTIONS=--max-old-space-size=8192; what is finished is kept`,
    `resume: ${commandLine(args)}\n`
  ].join("\n")
}

/** On Windows an abort is an exit code. */
const aborted = 134

const ended = (code: number | null, signal: NodeJS.Signals | null): number => {
  if (code !== null && code !== aborted) return code
  const by = signal ?? "SIGABRT"
  if (signalled !== undefined) return farewell(signalled, args)
  if (by in signalCodes) return farewell(by as StopSignal, args)
  process.stderr.write(epitaph(by))
  return 1
}

process.stderr.on("error", () => undefined)
child.on("message", (message: Work) => (work = message))
child.on("error", (error) => {
  process.stderr.write(`error: the run's process could not be started: ${error.message}\n`)
  process.exit(1)
})
// Its last messages may come after its exit, and before the channel's end.
const over = Promise.withResolvers<void>()
child.on("disconnect", over.resolve)
child.on("exit", (code, signal) => void over.promise.then(() => process.exit(ended(code, signal))))
