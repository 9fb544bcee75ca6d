/**
 * How the command line ends: exit codes, and what a person reads when something went wrong.
 *
 *   0 done    1 failed, can be resumed    2 bad usage or pipeline, before any work    3 done, rejects over budget
 *   130, 143  stopped by SIGINT, SIGTERM
 */
import * as Data from "effect/Data"

export class Failure extends Data.TaggedError("Failure")<{
  readonly exit: 1 | 2 | 3
  /** What was expected, what came, what to do. */
  readonly message: string
  /** The command that goes on where this one stopped. */
  readonly resume?: string
}> {}

/** Bad usage: nothing was done. */
export const usage = (message: string): Failure => new Failure({ exit: 2, message })

const isMessage = (error: unknown): error is { readonly message: string } =>
  typeof error === "object" && error !== null && "message" in error && typeof error.message === "string"

/** What stands on stderr. */
export const failureText = (error: unknown): string => {
  if (error instanceof Failure)
    return error.resume === undefined ? error.message : `${error.message}\nresume: ${error.resume}`
  return isMessage(error) ? error.message : String(error)
}

/** Sources are opened before anything runs: one that names no data, or a package that isn't there, is a mistake of the pipeline. */
const missingData: ReadonlySet<string> = new Set(["R110", "R111"])

export const isMissingData = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "code" in error && missingData.has(String(error.code))

/** Diagnostics of a pipeline are bad usage; whatever else fails can be run again. */
export const exitCodeOf = (error: unknown): number => {
  if (error instanceof Failure) return error.exit
  if (typeof error === "object" && error !== null && "_tag" in error && error._tag === "Diagnostics") return 2
  return 1
}
