/** Signals that stop a run, the exit codes that they end in, and what is said then. Loads nothing heavy: the supervisor needs it. */
import { commandLine } from "./Typed.ts"

export const signalCodes = { SIGHUP: 129, SIGINT: 130, SIGPIPE: 141, SIGTERM: 143 } as const
export type StopSignal = keyof typeof signalCodes

/** What a person or a system sends; SIGPIPE is noticed at a write. */
export const stopSignals = ["SIGHUP", "SIGINT", "SIGTERM"] as const

/** Milliseconds that a run has to stop by itself. */
export const patience_ms = 1500

/** Says that the run was stopped and how it goes on; gives the exit code. */
export const farewell = (signal: StopSignal, args: ReadonlyArray<string>): number => {
  process.stderr.write(`stopped by ${signal}; what is finished is kept\nresume: ${commandLine(args)}\n`)
  return signalCodes[signal]
}
