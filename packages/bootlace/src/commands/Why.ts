/** `bootlace why NODE`: whether a run computed a node or found it in the store, and what that hung on. */
import { nearest } from "@bootlace/graph"
import type { RunRecord } from "@bootlace/graph"
import { duration, number } from "@bootlace/report"
import { keyDifferences, keyLeaves, listRuns, readKeys, readRun, readTries } from "@bootlace/runtime"
import type { Try } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import { usage } from "../Failure.ts"
import { findRun } from "../FindRun.ts"
import { existingStore } from "../Machinery.ts"
import { out } from "../Screen.ts"
import { printable } from "../Table.ts"

export interface WhyCommand {
  readonly node: string
  readonly run: string
  readonly store: string
  readonly json: boolean
}

/** The run of the same pipeline before this one that got as far as the node. */
const runBefore = Effect.fnUntraced(function* (root: string, record: RunRecord, node: string) {
  const runs = yield* listRuns(root)
  for (const run of runs.slice(0, runs.indexOf(record.run)).toReversed()) {
    const other = yield* readRun(root, run)
    if (other?.pipeline !== record.pipeline) continue
    const parts = (yield* readKeys(root, run))?.[node]?.parts
    if (parts !== undefined) return { run, parts }
  }
  return undefined
})

const because = (
  cached: boolean,
  before: string | undefined,
  differences: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (before === undefined)
    return [cached ? "another pipeline, or this one's other node, made the same" : "first run of it"]
  if (differences.length > 0) return differences.map((each) => `since run ${before}: ${each}`)
  return [cached ? `as in run ${before}` : `the same as in run ${before}, whose result was not in the store`]
}

/** Of tasks that needed more than one try, or have not come to an end. */
const triesText = (tries: ReadonlyArray<Try>): ReadonlyArray<string> =>
  [...Map.groupBy(tries, ({ task }) => task)].flatMap(([task, all]) => {
    if (all.length === 1 && all[0]!.status === "done") return []
    const told = all.map(({ started, status }) => `${status} (${started.slice(0, 16).replace("T", " ")})`)
    return [`tries of ${task}: ${told.join(", ")}`]
  })

export const why = (options: WhyCommand) =>
  Effect.gen(function* () {
    const record = yield* findRun(options.store, options.run)
    const found = record.nodes[options.node]
    const parts = (yield* readKeys(options.store, record.run))?.[options.node]?.parts
    if (found === undefined || parts === undefined) {
      const known = Object.keys(record.nodes)
      const meant = nearest(options.node, known)
      const hint = meant === undefined ? `its nodes are ${known.join(", ")}` : `did you mean ${meant}?`
      return yield* usage(`error: run ${record.run} has no node ${options.node}\nhint: ${hint}`)
    }
    const before = yield* runBefore(options.store, record, options.node)
    const differences = before === undefined ? [] : keyDifferences(before.parts, parts)
    const reasons = because(found.cached, before?.run, differences)
    const tries = yield* readTries(options.store, record.run, options.node)
    if (options.json)
      return yield* out(
        JSON.stringify({ run: record.run, node: options.node, ...found, why: reasons, tries, key: parts })
      )
    const { op, cached, rows_in, rows_out, rejected, seconds, artifact } = found
    const lines = [
      `${options.node}  ${op}  ${cached ? "cached" : `computed in ${duration(seconds)}`}, run ${record.run}`,
      `rows ${number(rows_in)} in, ${number(rows_out)} out, ${number(rejected)} rejected`,
      ...reasons.map((each) => `because: ${each}`),
      ...triesText(tries),
      `output ${artifact}`,
      "its key is made of",
      ...keyLeaves(parts).map(([path, value]) => `  ${path}: ${JSON.stringify(value)}`)
    ]
    yield* out(lines.map(printable).join("\n"))
  }).pipe(Effect.provide(existingStore(options.store)))
