/**
 * Run folder: what a run leaves in the store, each file written whole and renamed into place.
 *
 *   <store>/runs/<run id>/run.json    the run record
 *   <store>/runs/<run id>/keys.json   per node what its key was made of, and the keys of all its artifacts
 *   <store>/runs/<run id>/run.lock    what the command line needs to run it again
 */
import { Files, writeFile } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { join } from "node:path"
import type { KeyParts } from "./Keys.ts"

const letters = "0123456789abcdefghjkmnpqrstvwxyz"

const base32 = (value: number, digits: number): string =>
  Array.from({ length: digits }, (_, i) => letters[Math.floor(value / 32 ** (digits - 1 - i)) % 32]).join("")

/** Seven letters of seconds since 1970, so that names sort by time, and four of chance. */
export const newRunId: Effect.Effect<string> = Effect.gen(function* () {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  return `${base32(seconds, 7)}-${base32(yield* Random.nextIntBetween(0, 32 ** 4 - 1), 4)}`
})

export interface NodeKeys {
  /** Of the first shard; of the whole for a fold or train. */
  readonly parts: KeyParts
  readonly keys: ReadonlyArray<string>
}
export type RunKeys = Readonly<Record<string, NodeKeys>>

/** A file of a run's folder, as JSON. */
export const writeRunFile = Effect.fnUntraced(function* (root: string, run: string, name: string, value: unknown) {
  const files = yield* Files
  const folder = join(root, "runs", run)
  const draft = join(folder, `${name}.${process.pid}`)
  yield* files.makeFolder(folder)
  yield* files.remove(draft)
  yield* writeFile(draft, [new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`)])
  yield* files.rename(draft, join(folder, name))
  yield* files.fsyncFolder(folder)
})

const readJson = Effect.fnUntraced(function* (root: string, run: string, name: string) {
  const files = yield* Files
  const bytes = yield* files.read(join(root, "runs", run, name)).pipe(Effect.orElseSucceed(() => undefined))
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as unknown
  } catch {
    return undefined
  }
})

export const writeRun = (root: string, record: RunRecord) => writeRunFile(root, record.run, "run.json", record)
export const writeKeys = (root: string, run: string, keys: RunKeys) => writeRunFile(root, run, "keys.json", keys)

/** Undefined where there is no such run or its record can't be read. */
export const readRun = (root: string, run: string) =>
  Effect.map(readJson(root, run, "run.json"), (record) => record as RunRecord | undefined)
export const readKeys = (root: string, run: string) =>
  Effect.map(readJson(root, run, "keys.json"), (keys) => keys as RunKeys | undefined)

/** The ids of all runs, oldest first. */
export const listRuns = Effect.fnUntraced(function* (root: string) {
  const files = yield* Files
  const folder = join(root, "runs")
  return (yield* files.stat(folder)) === undefined ? [] : yield* files.list(folder)
})

/** The newest run whose record passes. */
export const lastRun = Effect.fnUntraced(function* (root: string, passes: (record: RunRecord) => boolean) {
  for (const run of (yield* listRuns(root)).toReversed()) {
    const record = yield* readRun(root, run)
    if (record !== undefined && passes(record)) return record
  }
  return undefined
})

/** Keys that some run still names: what garbage collection keeps. */
export const keysInUse = Effect.fnUntraced(function* (root: string) {
  const used = new Set<string>()
  for (const run of yield* listRuns(root)) {
    for (const { keys } of Object.values((yield* readKeys(root, run)) ?? {})) for (const key of keys) used.add(key)
  }
  return used as ReadonlySet<string>
})
