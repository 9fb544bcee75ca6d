/**
 * The process: arguments in, exit code out, signals.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the run, which leaves what is committed and says how to resume; if that takes
 * more than a second and a half, or at the second signal, the process ends at once. A reader of stderr that has gone counts as
 * a signal, too. Artifacts are committed by rename, so nothing half-written can be taken for a result.
 *
 * A run's signals come through its supervisor, and from a terminal directly as well: two ways, one signal.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { runCommandLine } from "./cli/CommandLine.ts"
import { exitCodeOf, failureText } from "./Failure.ts"
import { farewell, patience_ms, stopSignals } from "./Signals.ts"
import type { StopSignal } from "./Signals.ts"
import { commandLine } from "./Typed.ts"

const args = process.argv.slice(2)
const heard = { directly: 0, passedOn: 0 }
let signalled: StopSignal | undefined

const say = (text: string): void => {
  if (text !== "") process.stderr.write(`${text}\n`)
}

// A reader that closes the pipe early (`| head`) has had enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

const fiber = Effect.runFork(runCommandLine(args))

const stop = (signal: StopSignal, way: keyof typeof heard): void => {
  heard[way] += 1
  if (Math.max(heard.directly, heard.passedOn) > 1) process.exit(farewell(signal, args))
  if (signalled !== undefined) return
  signalled = signal
  Effect.runFork(Fiber.interrupt(fiber))
  setTimeout(() => process.exit(farewell(signal, args)), patience_ms).unref()
}
for (const signal of stopSignals) process.on(signal, () => stop(signal, "directly"))
process.stderr.on("error", () => signalled ?? stop("SIGPIPE", "directly"))
process.on("message", (signal: StopSignal) => stop(signal, "passedOn"))
// Who watched over this run has gone: nobody waits for it.
process.on("disconnect", () => process.exit(1))

const codeOf = (exit: Exit.Exit<void, unknown>): number => {
  if (signalled !== undefined) return farewell(signalled, args)
  if (Exit.isSuccess(exit)) return 0
  const failure = exit.cause.reasons.find(Cause.isFailReason)
  if (failure !== undefined) {
    say(failureText(failure.error))
    return exitCodeOf(failure.error)
  }
  say(`internal error: ${Cause.pretty(exit.cause)}\nresume: ${commandLine(args)}`)
  return 1
}

fiber.addObserver((exit) => process.exit(codeOf(exit)))
