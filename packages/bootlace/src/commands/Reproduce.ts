/** `bootlace reproduce run.lock`: runs a finished run again from nothing and compares every node's output with the lock's hash. */
import { Engine } from "@bootlace/engine"
import type { Plan, RunRecord } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { stat } from "node:fs/promises"
import { installedVersions } from "../Dependencies.ts"
import { Failure, usage } from "../Failure.ts"
import { planOf } from "../LoadPipeline.ts"
import { machinery } from "../Machinery.ts"
import { runAndShow } from "../RunAndShow.ts"
import { operatorVersions, readLock } from "../RunLock.ts"
import type { RunLock } from "../RunLock.ts"
import { note, out } from "../Screen.ts"
import { table } from "../Table.ts"
import { version } from "../version.ts"

export interface ReproduceCommand {
  readonly lock: string
  readonly store: string
  readonly noConfig: boolean
  readonly json: boolean
}

type Versions = Readonly<Record<string, string>>

/** Packages of which another version is installed, or none, or none was. */
const changed = (was: Versions | undefined, is: Versions): ReadonlyArray<readonly [string, string, string]> =>
  was === undefined
    ? []
    : [...new Set([...Object.keys(was), ...Object.keys(is)])]
        .sort()
        .map((name) => [name, was[name] ?? "none", is[name] ?? "none"])

/** Settings here that differ from the lock's: why bytes may differ. */
const circumstances = (lock: RunLock, plan: Plan, numerics: string, installed: Versions): ReadonlyArray<string> => {
  const versions = operatorVersions(plan)
  const operators = Object.entries(lock.operators).filter(([name, was]) => versions[name] !== was)
  const pairs: ReadonlyArray<readonly [string, string, string]> = [
    ["plan", lock.plan, plan.hash],
    ["engine", lock.numerics, numerics],
    ["bootlace", lock.bootlace, version],
    ["Node", lock.node, process.versions.node],
    ...changed(lock.dependencies, installed),
    ...operators.map(([name, was]) => [name, `version ${was}`, `version ${versions[name] ?? "none"}`] as const)
  ]
  return pairs.filter(([, was, is]) => was !== is).map(([name, was, is]) => `${name}: ${was} then, ${is} now`)
}

interface Outcome {
  readonly node: string
  readonly locked: string
  readonly got: string | undefined
}

const outcomes = (lock: RunLock, record: RunRecord): ReadonlyArray<Outcome> =>
  Object.entries(lock.artifacts).map(([node, locked]) => ({ node, locked, got: record.nodes[node]?.artifact }))

/** A node is named only where what it read was equal: what follows from a difference needs no word. */
const firstDifferences = (different: ReadonlyArray<Outcome>, record: RunRecord): ReadonlyArray<Outcome> => {
  const names = new Set(different.map(({ node }) => node))
  const reads = new Map(record.graph.map(({ id, inputs }) => [id, inputs.map(({ from }) => from)]))
  return different.filter(({ node }) => !(reads.get(node) ?? []).some((from) => names.has(from)))
}

const runAgain = Effect.fnUntraced(function* (lock: RunLock, { noConfig }: ReproduceCommand) {
  const loaded = yield* planOf({ only: [], ...lock.pipeline, seed: lock.pipeline.seed, noConfig })
  const { numerics } = yield* Engine
  const reasons = circumstances(lock, loaded.plan, numerics, yield* Effect.promise(installedVersions))
  if (reasons.length > 0) yield* note(`not as in the lock, so bytes may differ:\n  ${reasons.join("\n  ")}`)
  return { record: yield* runAndShow(loaded), reasons }
})

export const reproduce = Effect.fnUntraced(function* (options: ReproduceCommand) {
  const lock = yield* readLock(options.lock)
  const taken = yield* Effect.promise(() => stat(options.store).catch(() => undefined))
  if (taken !== undefined)
    return yield* usage(
      `error: ${options.store} is there already, and what is in a store is not computed again\nhint: name a new folder with --store`
    )
  const { engine, threads, precision = "fp32" } = lock
  const { record, reasons } = yield* runAgain(lock, options).pipe(
    Effect.provide(machinery({ store: options.store, engine, threads, precision }))
  )
  const all = outcomes(lock, record)
  const different = all.filter(({ locked, got }) => locked !== got)
  if (options.json)
    yield* out(JSON.stringify({ run: record.run, lock: lock.run, equal: different.length === 0, nodes: all, reasons }))
  else yield* out(`${all.length - different.length} of ${all.length} nodes gave the locked bytes`)
  if (different.length === 0) return
  const rows = firstDifferences(different, record).map(({ node, locked, got }) => [
    node,
    locked.slice(0, 12),
    got?.slice(0, 12) ?? "nothing"
  ])
  const because =
    reasons.length === 0
      ? "engine, versions and plan are the lock's: the data must have changed, or an operator of the project's own is not pure"
      : reasons.join("\n  ")
  return yield* new Failure({
    exit: 1,
    message: `error: other bytes, first at\n${table([{ title: "node" }, { title: "locked" }, { title: "got" }], rows)}\nhint: ${because}`
  })
})
