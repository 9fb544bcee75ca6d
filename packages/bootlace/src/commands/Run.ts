/**
 * `bootlace run`: check, run, report. Nothing is computed before the whole pipeline is checked; an interrupted or failed run
 * keeps what it committed, and the same command goes on from there.
 */
import { Files } from "@bootlace/data"
import type { Plan, RunRecord } from "@bootlace/graph"
import { lastRun, overBudget, writeRunFile } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { attributionOf } from "../ConfigFile.ts"
import { installedVersions } from "../Dependencies.ts"
import { Failure, failureText, isMissingData, usage } from "../Failure.ts"
import type { RunOptions } from "../Invocation.ts"
import { loadPipeline } from "../LoadPipeline.ts"
import type { LoadedPipeline } from "../LoadPipeline.ts"
import { defaultThreads, machinery } from "../Machinery.ts"
import { profiled } from "../Profile.ts"
import { runAndShow } from "../RunAndShow.ts"
import { lockOf } from "../RunLock.ts"
import { resultsText, runJson, summaryText } from "../RunSummary.ts"
import { note, out } from "../Screen.ts"
import { writeReport } from "../WriteReport.ts"

/** A report that can't be made doesn't undo a run. */
const report = (record: RunRecord, loaded: LoadedPipeline, options: RunOptions) => {
  const path = options.report ?? join(options.store, "runs", record.run, "report.html")
  const attribution = attributionOf(
    loaded.config,
    loaded.plan.nodes.map((node) => node.operator.name)
  )
  return writeReport({ record, path, command: options.command, attribution }).pipe(
    Effect.as(path),
    Effect.catch((failure) => Effect.as(note(failure.message), undefined))
  )
}

const writeLock = Effect.fnUntraced(function* (record: RunRecord, { plan, text }: LoadedPipeline, options: RunOptions) {
  const { file, set, seed, only, engine, precision } = options
  const pipeline = { file, text, set, only, ...(seed === undefined ? {} : { seed }) }
  const threads = options.threads ?? defaultThreads
  const dependencies = yield* Effect.promise(installedVersions)
  const lock = lockOf({ record, plan, pipeline, engine, precision, threads, dependencies })
  yield* writeRunFile(options.store, record.run, "run.lock", lock)
})

const finish = Effect.fnUntraced(function* (record: RunRecord, loaded: LoadedPipeline, options: RunOptions) {
  yield* writeLock(record, loaded, options)
  const path = yield* report(record, loaded, options)
  if (options.json) yield* out(JSON.stringify(runJson(record)))
  else {
    const results = resultsText(record)
    if (results !== undefined) yield* out(results)
    yield* note(summaryText(record))
  }
  if (path !== undefined) yield* options.json ? note(`report ${path}`) : out(`report ${path}`)
  const over = overBudget(loaded.plan, record)
  if (over.length === 0) return
  const counts = over.map((id) => `${id}: ${record.nodes[id]!.rejected} of ${record.nodes[id]!.rows_in} rows`)
  return yield* new Failure({
    exit: 3,
    message: `error: more rows were rejected than on_bad_row allows\n  ${counts.join("\n  ")}\nhint: the report lists the reasons; raise budget if they are harmless`
  })
})

/** What went wrong, and how to go on; what has been explained already passes through. */
const failed = Effect.fnUntraced(function* (error: unknown, plan: Plan, options: RunOptions) {
  if (error instanceof Failure) return yield* error
  if (isMissingData(error)) return yield* usage(failureText(error))
  if (options.json) {
    const last = lastRun(options.store, (record) => record.plan === plan.hash).pipe(Effect.provide(Files.layer))
    const record = yield* Effect.orElseSucceed(last, () => undefined)
    if (record !== undefined) yield* out(JSON.stringify(runJson(record)))
  }
  return yield* new Failure({ exit: 1, message: failureText(error), resume: options.command })
})

export const run = Effect.fnUntraced(function* (options: RunOptions) {
  const loaded = yield* loadPipeline(options)
  const work = (profileFolder?: string) =>
    runAndShow(loaded, options.events).pipe(
      Effect.tap((record) => finish(record, loaded, options)),
      Effect.provide(machinery({ ...options, profileFolder }))
    )
  const whole = options.profile ? profiled(options, work) : work()
  yield* whole.pipe(Effect.catch((error) => failed(error, loaded.plan, options)))
})
