/**
 * The process: arguments in, exit code out, signals.
 *
 * The first SIGINT, SIGTERM or SIGHUP interrupts the run, which leaves what is committed and says how to resume; if that takes
 * more than a second and a half, or at the second signal, the process ends at once. A reader of stderr that has gone counts as
 * a signal, too. Artifacts are committed by rename, so nothing half-written can be taken for a result.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { runCommandLine } from "./cli/CommandLine.ts"
import { commandLine, exitCodeOf, failureText } from "./Failure.ts"

const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const
const args = process.argv.slice(2)
let signalled: keyof typeof signalCodes | undefined

const say = (text: string): void => {
  if (text !== "") process.stderr.write(`${text}\n`)
}

// A reader that closes the pipe early (`| head`) has had enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

const fiber = Effect.runFork(runCommandLine(args))

const farewell = (signal: keyof typeof signalCodes): number => {
  say(`stopped by ${signal}; what is finished is kept\nresume: ${commandLine(args)}`)
  return signalCodes[signal]
}

const stop = (signal: keyof typeof signalCodes): void => {
  if (signalled !== undefined) process.exit(farewell(signal))
  signalled = signal
  Effect.runFork(Fiber.interrupt(fiber))
  setTimeout(() => process.exit(farewell(signal)), 1500).unref()
}
process.on("SIGINT", stop)
process.on("SIGTERM", stop)
process.on("SIGHUP", stop)
process.stderr.on("error", () => signalled ?? stop("SIGPIPE"))

const codeOf = (exit: Exit.Exit<void, unknown>): number => {
  if (signalled !== undefined) return farewell(signalled)
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
