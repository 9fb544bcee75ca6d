/** The journal's file: whatever is wrong with it, the run ends well, and says so once. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { existsSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Journal } from "../src/Journal.ts"
import { readTries } from "../src/index.ts"
import { openSqlite } from "../src/SqliteClient.ts"
import { sqliteJournal } from "../src/SqliteJournal.ts"
import { calls, resetCalls } from "./operators.ts"
import { digests, runJournaled, services, temporaryFolder } from "./pipelines.ts"

afterEach(resetCalls)

const pipeline = `
version: 1
name: journaled
seed: 3
nodes:
  rows: { op: Numbers, shards: 3, rows: 10 }
  sum:  { op: Sum, in: { score: rows.value } }
`
const fileIn = (store: string) => join(store, "orchestration.sqlite")

/** A run, and what it warned of. */
const warned = Effect.fnUntraced(function* (store: string) {
  const warnings: Array<string> = []
  const logger = Logger.make(({ message }) => void warnings.push(String(message)))
  const record = yield* runJournaled(store, pipeline).pipe(Effect.provide(Logger.layer([logger])))
  return { record, warnings }
})

const inFile = <A, E>(
  store: string,
  use: (sql: Effect.Success<ReturnType<typeof openSqlite>>) => Effect.Effect<A, E>
) => Effect.scoped(Effect.flatMap(openSqlite(fileIn(store)), use))

const damages: Readonly<Record<string, (store: string) => Effect.Effect<unknown, unknown>>> = {
  garbage: (store) => Effect.sync(() => writeFileSync(fileIn(store), "no database at all. ".repeat(500))),
  cut: (store) => Effect.sync(() => truncateSync(fileIn(store), 5000)),
  zeroed: (store) =>
    Effect.sync(() => {
      const bytes = readFileSync(fileIn(store))
      writeFileSync(fileIn(store), bytes.fill(0, 4096))
    }),
  "another version": (store) => inFile(store, (sql) => sql`PRAGMA user_version = 999`),
  "another program's": (store) =>
    Effect.suspend(() => {
      rmSync(fileIn(store))
      return inFile(store, (sql) => sql`CREATE TABLE recipes (name)`)
    })
}

describe("SqliteJournal", () => {
  for (const [damage, make] of Object.entries(damages))
    it.effect(`a file that is ${damage} is put aside with one warning`, () =>
      Effect.gen(function* () {
        const store = yield* temporaryFolder
        const { record: first } = yield* warned(store)
        yield* make(store)
        const before = readFileSync(fileIn(store))
        resetCalls()
        const { record, warnings } = yield* warned(store)
        assert.deepStrictEqual(digests(record), digests(first))
        assert.deepStrictEqual(calls, { "Numbers.open": 1 })
        assert.strictEqual(warnings.length, 1, warnings.join("\n"))
        assert.match(warnings[0]!, /orchestration\.sqlite (is|has) .*Nothing is lost/s)
        assert.deepStrictEqual(readFileSync(`${fileIn(store)}.damaged`), before)
        assert.isAbove((yield* readTries(store, record.run, "sum")).length, 0)
        assert.deepStrictEqual((yield* warned(store)).warnings, [])
      })
    )

  it.effect("an empty file, and one that is gone, are made anew without a word", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      yield* warned(store)
      writeFileSync(fileIn(store), "")
      assert.deepStrictEqual((yield* warned(store)).warnings, [])
      rmSync(fileIn(store))
      const { record, warnings } = yield* warned(store)
      assert.deepStrictEqual(warnings, [])
      assert.isAbove((yield* readTries(store, record.run, "sum")).length, 0)
      assert.isFalse(existsSync(`${fileIn(store)}.damaged`))
    })
  )

  it.effect("entries that make no sense are no entries", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const { record: first } = yield* warned(store)
      // As it was before its end, with nonsense in it.
      const path = join(store, "runs", first.run, "run.json")
      writeFileSync(path, readFileSync(path, "utf8").replace(`"status": "done"`, `"status": "running"`))
      yield* inFile(store, (sql) => sql`UPDATE tries SET result = '["a"', nodes = '[1', started = ${2n ** 62n}`)
      assert.deepStrictEqual(yield* readTries(store, first.run, "sum"), [])
      const { record, warnings } = yield* warned(store)
      assert.strictEqual(record.run, first.run)
      assert.deepStrictEqual(digests(record), digests(first))
      assert.deepStrictEqual(warnings, [])
    })
  )

  it.effect("one that can't be opened is left alone with one warning", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      mkdirSync(fileIn(store))
      const { record, warnings } = yield* warned(store)
      assert.strictEqual(record.status, "done")
      assert.strictEqual(warnings.length, 1)
      assert.match(warnings[0]!, /orchestration\.sqlite can't be used: .*The run goes on without it/)
      assert.deepStrictEqual(yield* readTries(store, record.run, "sum"), [])
    })
  )

  it.effect("one that breaks on the way is written to no more, with one warning", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const use = Effect.gen(function* () {
        const journal = yield* Journal
        const execution = { id: "1", run: "r", plan: "p" }
        assert.strictEqual((yield* journal.begin(execution)).attempt, 1)
        const end = yield* journal.startTry("1", "task", ["node"])
        yield* inFile(store, (sql) => sql`DROP TABLE tries`)
        yield* end({ status: "done", result: [] })
        yield* journal.startTry("1", "task", ["node"])
        yield* journal.end("1", "done")
        assert.deepStrictEqual(yield* journal.begin(execution), { attempt: 1, done: new Map(), open: [] })
      })
      yield* use.pipe(
        Effect.provide(Layer.provideMerge(sqliteJournal(store), services(store))),
        Effect.provide(Logger.layer([logger]))
      )
      assert.strictEqual(warnings.length, 1, warnings.join("\n"))
      assert.include(warnings[0]!, "no such table: tries")
    })
  )
})
