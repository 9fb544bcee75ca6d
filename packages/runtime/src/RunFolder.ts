/** Run folder: <store>/runs/<run id>/run.json, written whole and renamed into place each time. */
import { Files, writeFile } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import { Clock, Effect, Random } from "effect"
import { join } from "node:path"

const fileName = "run.json"
const letters = "0123456789abcdefghjkmnpqrstvwxyz"

const base32 = (value: number, digits: number): string =>
  Array.from({ length: digits }, (_, i) => letters[Math.floor(value / 32 ** (digits - 1 - i)) % 32]).join("")

/** Seven letters of seconds since 1970, so that names sort by time, and four of chance. */
export const newRunId: Effect.Effect<string> = Effect.gen(function* () {
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  return `${base32(seconds, 7)}-${base32(yield* Random.nextIntBetween(0, 32 ** 4 - 1), 4)}`
})

export const writeRun = Effect.fnUntraced(function* (root: string, record: RunRecord) {
  const files = yield* Files
  const folder = join(root, "runs", record.run)
  const draft = join(folder, `${fileName}.${process.pid}`)
  yield* files.makeFolder(folder)
  yield* files.remove(draft)
  yield* writeFile(draft, [new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`)])
  yield* files.rename(draft, join(folder, fileName))
  yield* files.fsyncFolder(folder)
})

/** Undefined where there is no such run or its record can't be read. */
export const readRun = Effect.fnUntraced(function* (root: string, run: string) {
  const files = yield* Files
  const bytes = yield* files.read(join(root, "runs", run, fileName)).pipe(Effect.orElseSucceed(() => undefined))
  if (bytes === undefined) return undefined
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as RunRecord
  } catch {
    return undefined
  }
})

/** The ids of all runs, oldest first. */
export const listRuns = Effect.fnUntraced(function* (root: string) {
  const files = yield* Files
  const folder = join(root, "runs")
  return (yield* files.stat(folder)) === undefined ? [] : yield* files.list(folder)
})

/** The newest run of a plan. */
export const lastRun = Effect.fnUntraced(function* (root: string, plan: string) {
  for (const run of (yield* listRuns(root)).toReversed()) {
    const record = yield* readRun(root, run)
    if (record?.plan === plan) return record
  }
  return undefined
})
