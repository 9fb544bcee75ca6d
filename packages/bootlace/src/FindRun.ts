/** A run by its id, by the beginning of it, or `latest`. */
import type { Files } from "@bootlace/data"
import type { DataError } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import { listRuns, readRun } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { usage } from "./Failure.ts"
import type { Failure } from "./Failure.ts"

/** Run ids sort by time. */
const pickRun = (runs: ReadonlyArray<string>, wanted: string): Effect.Effect<string, Failure> => {
  const matching = wanted === "latest" ? runs.slice(-1) : runs.filter((run) => run.startsWith(wanted))
  const exact = matching.find((run) => run === wanted)
  if (exact !== undefined) return Effect.succeed(exact)
  if (matching.length === 1) return Effect.succeed(matching[0]!)
  const known = runs.length === 0 ? "no runs are in this store" : `runs here: ${runs.slice(-5).toReversed().join(", ")}`
  return Effect.fail(
    usage(
      `error: ${matching.length === 0 ? "no run" : "more than one run"} ${wanted}\nhint: ${known}; --store names another store`
    )
  )
}

export const findRun = (root: string, wanted: string): Effect.Effect<RunRecord, Failure | DataError, Files> =>
  Effect.gen(function* () {
    const run = yield* pickRun(yield* listRuns(root), wanted)
    const record = yield* readRun(root, run)
    return record ?? (yield* usage(`error: the record of run ${run} can't be read`))
  })
