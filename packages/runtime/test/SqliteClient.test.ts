/** The SQLite driver: values there and back, transactions and those within, errors by kind, other connections at once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import fc from "fast-check"
import { spawn } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { openSqlite, sqliteCode } from "../src/SqliteClient.ts"
import { temporaryFolder } from "./pipelines.ts"

const memory = Effect.tap(openSqlite(":memory:"), (sql) => sql`CREATE TABLE t (id INTEGER PRIMARY KEY, v)`)

const names = (rows: ReadonlyArray<object>) => rows.map((row) => (row as { readonly v: unknown }).v)

describe("SqliteClient: values", () => {
  it.effect("gives back what was put in", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const check = (value: unknown, expected = value) =>
        Effect.gen(function* () {
          yield* sql`DELETE FROM t`
          yield* sql`INSERT INTO t (v) VALUES (${value})`
          assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`), [expected])
        })
      const number = fc.oneof(fc.maxSafeInteger(), fc.double({ noNaN: true }))
      const large = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
      const samples = fc.sample(fc.oneof(number, large, fc.string(), fc.uint8Array(), fc.constant(null)), 100)
      for (const value of samples) {
        const small = typeof value === "bigint" && Number.isSafeInteger(Number(value))
        yield* check(Object.is(value, -0) ? 0 : value, small ? Number(value) : Object.is(value, -0) ? 0 : value)
      }
      yield* check(true, 1)
      yield* check(undefined, null)
      yield* check(9_007_199_254_740_993n)
      yield* check(new Uint8Array())
    })
  )

  it.effect("refuses what SQLite can't hold, by name of the statement", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const error = yield* Effect.flip(sql`INSERT INTO t (v) VALUES (${new Date(0)})`)
      assert.strictEqual(error._tag, "SqlError")
      assert.include(error.message, "cannot be bound")
      assert.isUndefined(sqliteCode(error))
      assert.strictEqual((yield* Effect.flip(sql`INSERT INTO t (v) VALUES (${2n ** 63n})`))._tag, "SqlError")
      assert.deepStrictEqual(yield* sql`SELECT * FROM t`, [])
    })
  )

  it.effect("gives rows, values, a stream, and what a statement changed", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      assert.deepStrictEqual(yield* sql`INSERT INTO t ${sql.insert([{ v: "a" }, { v: "b" }])}`.raw, {
        lastInsertRowid: 2,
        changes: 2
      })
      assert.deepStrictEqual(yield* sql`SELECT id, v AS w FROM t WHERE v IN ${sql.in(["b", "c"])}`, [{ id: 2, w: "b" }])
      assert.deepStrictEqual(yield* sql`SELECT v, id FROM t`.values, [
        ["a", 1],
        ["b", 2]
      ])
      assert.deepStrictEqual(names(yield* Stream.runCollect(sql`SELECT v FROM t`.stream)), ["a", "b"])
      assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`.unprepared), ["a", "b"])
    })
  )

  it.effect("keeps its statements right when there are many", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      for (let i = 0; i < 200; i++) {
        const name = `c${i % 100}`
        assert.deepStrictEqual(yield* sql`SELECT ${i} AS ${sql(name)}`, [{ [name]: i }])
      }
    })
  )
})

describe("SqliteClient: transactions", () => {
  const insert = (sql: Effect.Success<typeof memory>, v: string) => sql`INSERT INTO t (v) VALUES (${v})`

  it.effect("keeps all of one or nothing", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      yield* sql.withTransaction(Effect.andThen(insert(sql, "a"), insert(sql, "b")))
      const failed = sql.withTransaction(Effect.andThen(insert(sql, "c"), Effect.fail("no")))
      assert.strictEqual(yield* Effect.flip(failed), "no")
      const died = yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(sql, "d"), Effect.die("bug"))))
      assert.isTrue(Exit.isFailure(died))
      assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`), ["a", "b"])
    })
  )

  it.effect("takes back an inner one alone", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const inner = (v: string, end: Effect.Effect<void, string>) =>
        Effect.exit(sql.withTransaction(Effect.andThen(insert(sql, v), end)))
      yield* sql.withTransaction(
        Effect.gen(function* () {
          yield* insert(sql, "a")
          yield* inner("b", Effect.fail("no"))
          yield* inner("c", Effect.void)
          yield* sql.withTransaction(Effect.andThen(inner("d", Effect.fail("no")), insert(sql, "e")))
        })
      )
      assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`), ["a", "c", "e"])
    })
  )

  it.effect("takes back what was interrupted, and lets others wait their turn", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      const stuck = yield* Effect.forkChild(sql.withTransaction(Effect.andThen(insert(sql, "a"), Effect.never)), {
        startImmediately: true
      })
      const waiting = yield* Effect.forkChild(insert(sql, "b"), { startImmediately: true })
      yield* Fiber.interrupt(stuck)
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`), ["b"])
    })
  )
})

describe("SqliteClient: errors", () => {
  it.effect("tells them by kind", () =>
    Effect.gen(function* () {
      const sql = yield* memory
      yield* sql`CREATE UNIQUE INDEX once ON t (v)`
      yield* sql`INSERT INTO t (v) VALUES ('a')`
      const twice = yield* Effect.flip(sql`INSERT INTO t (v) VALUES ('a')`)
      assert.strictEqual(twice.reason._tag, "UniqueViolation")
      assert.strictEqual(sqliteCode(twice), 19)
      const wrong = yield* Effect.flip(sql`SELECT * FROM nowhere`)
      assert.include(wrong.message, "no such table: nowhere")
      assert.strictEqual((yield* Effect.flip(openSqlite("/nowhere/at/all.sqlite"))).reason._tag, "ConnectionError")
    })
  )

  it.effect("a file that isn't a database says so at its first use", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "x.sqlite")
      writeFileSync(file, "not a database, but more than a header's worth of text ".repeat(40))
      const sql = yield* openSqlite(file)
      assert.strictEqual(sqliteCode(yield* Effect.flip(sql`SELECT * FROM sqlite_schema`)), 26)
    })
  )

  it.live("a file that another connection has is waited for, and given up in time", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "x.sqlite")
      const one = yield* openSqlite(file)
      const other = yield* openSqlite(file, { busy_ms: 200 })
      yield* one`PRAGMA journal_mode = WAL`
      yield* one`CREATE TABLE t (v)`
      const write = other`INSERT INTO t VALUES ('other')`
      const held = Effect.andThen(one`INSERT INTO t VALUES ('one')`, Effect.flip(write))
      assert.strictEqual((yield* one.withTransaction(held)).reason._tag, "LockTimeoutError")
      const waiting = yield* one.withTransaction(Effect.forkChild(write, { startImmediately: true }))
      yield* Fiber.join(waiting)
      assert.deepStrictEqual(names(yield* other`SELECT v FROM t`), ["one", "other"])
    })
  )
})

/** Adds one to a number n times, reading and writing in one transaction, and prints every warning. */
const adder = (file: string, n: number) => `
import { Effect } from "effect"
import { openSqlite } from ${JSON.stringify(join(import.meta.dirname, "../src/SqliteClient.ts"))}
const add = Effect.gen(function* () {
  const sql = yield* openSqlite(${JSON.stringify(file)}, { busy_ms: 60000 })
  for (let i = 0; i < ${n}; i++)
    yield* sql.withTransaction(Effect.flatMap(sql\`SELECT v FROM t\`, ([{ v }]) => sql\`UPDATE t SET v = \${v + 1}\`))
})
await Effect.runPromise(Effect.scoped(add))`

describe("SqliteClient: processes", () => {
  it.live(
    "several at once lose no write, and nobody hears of node:sqlite",
    () =>
      Effect.gen(function* () {
        const file = join(yield* temporaryFolder, "x.sqlite")
        const sql = yield* openSqlite(file)
        yield* sql`PRAGMA journal_mode = WAL`
        yield* sql`CREATE TABLE t (v)`
        yield* sql`INSERT INTO t VALUES (0)`
        const spawned = Effect.promise(
          () =>
            new Promise<string>((resolve) => {
              const args = ["--input-type=module", "-e", adder(file, 40)]
              const child = spawn(process.execPath, args, {
                cwd: import.meta.dirname,
                stdio: ["ignore", "ignore", "pipe"]
              })
              let errors = ""
              child.stderr.on("data", (chunk: Buffer) => (errors += chunk.toString()))
              child.on("close", () => resolve(errors))
            })
        )
        assert.deepStrictEqual(yield* Effect.all([spawned, spawned], { concurrency: 2 }), ["", ""])
        assert.deepStrictEqual(names(yield* sql`SELECT v FROM t`), [80])
      }),
    300_000
  )
})
