/**
 * The journal of a store, in SQLite: `<store>/orchestration.sqlite`.
 *
 *   executions  a run: how many processes took it up, how it stands
 *   tries       of its tasks: begun, and done, failed or interrupted, when, with the keys of what was stored
 *
 * It is written ahead and not flushed at each step: what `kill -9` leaves is whole and current, a power cut may take the last
 * entries. Nothing hangs on them. So whatever is wrong with the file never stops a run: one that isn't ours or is damaged is put
 * aside, with one warning; one that can't be written is left alone, with one warning.
 */
import { Files } from "@bootlace/data"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { existsSync, renameSync, rmSync } from "node:fs"
import { join } from "node:path"
import { forgetful, Journal, unknown } from "./Journal.ts"
import type { DoneTask, Execution, History, JournalShape, OpenTask, Try, TryEnd } from "./Journal.ts"
import { lockPlan } from "./Lock.ts"
import { listRuns } from "./RunFolder.ts"
import { openSqlite, sqliteCode } from "./SqliteClient.ts"
import type { SqlClient, SqlError } from "./SqliteClient.ts"

export const journalFile = (root: string): string => join(root, "orchestration.sqlite")

/** A file of another version is put aside. */
const schemaVersion = 1

const makeTables = (sql: SqlClient) =>
  sql.withTransaction(
    Effect.all(
      [
        sql`CREATE TABLE executions (id TEXT PRIMARY KEY, run TEXT NOT NULL, plan TEXT NOT NULL, attempt INTEGER NOT NULL,
          status TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER, error TEXT) STRICT`,
        sql`CREATE TABLE tries (id INTEGER PRIMARY KEY, execution TEXT NOT NULL REFERENCES executions ON DELETE CASCADE,
          task TEXT NOT NULL, nodes TEXT NOT NULL, status TEXT NOT NULL, started INTEGER NOT NULL, ended INTEGER,
          result TEXT, error TEXT) STRICT`,
        sql`CREATE INDEX tries_of ON tries (execution, task)`,
        sql.unsafe(`PRAGMA user_version = ${schemaVersion}`)
      ],
      { discard: true }
    )
  )

const versionOf = Effect.fnUntraced(function* (sql: SqlClient) {
  const [found] = yield* sql<{ readonly user_version: number }>`PRAGMA user_version`
  const [tables] = yield* sql<{ readonly count: number }>`SELECT count(*) AS count FROM sqlite_schema`
  return tables!.count === 0 ? 0 : found!.user_version === 0 ? -1 : found!.user_version
})

/** Makes the tables where there are none; gives what is wrong with the file, which then stays as it is. */
const prepare = Effect.fnUntraced(function* (sql: SqlClient) {
  const [check] = yield* sql<{ readonly quick_check: string }>`PRAGMA quick_check(1)`
  if (check?.quick_check !== "ok") return `is damaged: ${check?.quick_check}`
  const version = yield* versionOf(sql)
  if (version !== 0 && version !== schemaVersion) return `has schema ${version}, this is ${schemaVersion}`
  yield* sql`PRAGMA journal_mode = WAL`
  // Another process may be making them: look again where nobody else can write.
  const make = Effect.flatMap(versionOf(sql), (found) => (found === 0 ? makeTables(sql) : Effect.void))
  if (version === 0) yield* sql.withTransaction(make)
  return undefined
})

/** SQLite's words for a file that is damaged, and for one that never was a database. */
const unusable = new Set([11, 26])

const problemOf = (file: string): Effect.Effect<string | undefined, SqlError> =>
  Effect.scoped(Effect.flatMap(openSqlite(file), prepare)).pipe(
    Effect.catchIf(
      (error) => unusable.has(sqliteCode(error) ?? 0),
      (error) => Effect.succeed(`is not usable: ${error.message}`)
    )
  )

const putAside = (file: string): Effect.Effect<void> =>
  Effect.sync(() => {
    renameSync(file, `${file}.damaged`)
    for (const companion of ["-wal", "-shm"]) rmSync(file + companion, { force: true })
  })

/** Opens the file, after another has taken the place of one that is no use. */
const openJournal = Effect.fnUntraced(function* (root: string) {
  const file = journalFile(root)
  if ((yield* problemOf(file)) !== undefined) {
    const replace = Effect.gen(function* () {
      yield* lockPlan(root, "orchestration", true)
      const problem = yield* problemOf(file)
      if (problem === undefined) return
      yield* putAside(file)
      yield* Effect.logWarning(
        `${file} ${problem}; it is now ${file}.damaged, and a new one takes its place. Nothing is lost: the store knows what is done`
      )
      yield* problemOf(file)
    })
    yield* Effect.scoped(replace)
  }
  const sql = yield* openSqlite(file)
  yield* sql`PRAGMA synchronous = NORMAL`
  return sql
})

interface TryRow {
  readonly task: string
  readonly nodes: string
  readonly status: "done" | OpenTask["status"]
  readonly result: string | null
  readonly tries: number
}

/** A bit that has flipped inside a text isn't seen by SQLite. */
const listIn = (text: string | null): ReadonlyArray<string> | undefined => {
  try {
    const list = JSON.parse(text ?? "") as unknown
    return Array.isArray(list) && list.every((each) => typeof each === "string") ? list : undefined
  } catch {
    return undefined
  }
}

/** The last try of each task. */
const historyOf = Effect.fnUntraced(function* (sql: SqlClient, execution: string, attempt: number) {
  const rows = yield* sql<TryRow>`SELECT task, nodes, status, result, tries FROM tries
    JOIN (SELECT max(id) AS last, count(*) AS tries FROM tries WHERE execution = ${execution} GROUP BY task) ON id = last
    ORDER BY id`
  const history: History = {
    attempt,
    done: new Map(
      rows.flatMap(({ task, nodes, result }): ReadonlyArray<[string, DoneTask]> => {
        const keys = listIn(result)
        return keys === undefined ? [] : [[task, { nodes: listIn(nodes) ?? [], keys }]]
      })
    ),
    open: rows.flatMap(({ task, nodes, status, tries }): ReadonlyArray<OpenTask> =>
      status === "done" ? [] : [{ task, nodes: listIn(nodes) ?? [], status, tries }]
    )
  }
  return history
})

const begin = Effect.fnUntraced(function* (sql: SqlClient, { id, run, plan }: Execution, now: number) {
  yield* sql`INSERT INTO executions (id, run, plan, attempt, status, started) VALUES (${id}, ${run}, ${plan}, 1, 'running', ${now})
    ON CONFLICT (id) DO UPDATE SET attempt = attempt + 1, status = 'running', ended = NULL, error = NULL`
  yield* sql`UPDATE tries SET status = 'interrupted' WHERE execution = ${id} AND status = 'started'`
  const [found] = yield* sql<{ readonly attempt: number }>`SELECT attempt FROM executions WHERE id = ${id}`
  return yield* historyOf(sql, id, found!.attempt)
})

/** An execution goes with its run's folder. */
const forget = Effect.fnUntraced(function* (sql: SqlClient, kept: ReadonlySet<string>) {
  const runs = yield* sql<{ readonly run: string }>`SELECT DISTINCT run FROM executions`
  for (const { run } of runs) if (!kept.has(run)) yield* sql`DELETE FROM executions WHERE run = ${run}`
})

const startTry = Effect.fnUntraced(function* (sql: SqlClient, execution: string, task: string, nodes: string) {
  const now = yield* Clock.currentTimeMillis
  const [row] = yield* sql<{ readonly id: number }>`INSERT INTO tries (execution, task, nodes, status, started)
    VALUES (${execution}, ${task}, ${nodes}, 'started', ${now}) RETURNING id`
  return row!.id
})

const endTry = Effect.fnUntraced(function* (sql: SqlClient, id: number, end: TryEnd) {
  const result = end.status === "done" ? JSON.stringify(end.result) : null
  const error = end.status === "failed" ? end.error : null
  yield* sql`UPDATE tries SET status = ${end.status}, ended = ${yield* Clock.currentTimeMillis}, result = ${result},
    error = ${error} WHERE id = ${id}`
})

const journalOver = (sql: SqlClient, runs: Effect.Effect<ReadonlyArray<string>>, file: string): JournalShape => {
  let isBroken = false
  /** After the first failure nothing more is written. */
  const tolerant = <A>(work: Effect.Effect<A, SqlError>, otherwise: A): Effect.Effect<A> =>
    Effect.suspend(() => (isBroken ? Effect.succeed(otherwise) : work)).pipe(
      Effect.catch((error) => {
        isBroken = true
        return Effect.as(unwritable(file, error), otherwise)
      })
    )
  return {
    begin: (execution) =>
      tolerant(
        sql.withTransaction(
          Effect.gen(function* () {
            // Looked at where nobody else can begin: a run's folder is there before its execution.
            const kept = new Set(yield* runs).add(execution.run)
            yield* forget(sql, kept)
            return yield* begin(sql, execution, yield* Clock.currentTimeMillis)
          })
        ),
        unknown
      ),
    end: (execution, status, error) =>
      tolerant(
        Effect.flatMap(
          Clock.currentTimeMillis,
          (now) =>
            sql`UPDATE executions SET status = ${status}, ended = ${now}, error = ${error} WHERE id = ${execution}`
        ),
        undefined
      ),
    startTry: (execution, task, nodes) =>
      Effect.map(
        tolerant(startTry(sql, execution, task, JSON.stringify(nodes)), undefined),
        (id) => (end) => (id === undefined ? Effect.void : tolerant(endTry(sql, id, end), undefined))
      )
  }
}

const unwritable = (file: string, error: { readonly message: string }): Effect.Effect<void> =>
  Effect.logWarning(`${file} can't be used: ${error.message}. The run goes on without it; the store knows what is done`)

/** The journal of a store whose folder is there, opened when the layer is built. */
export const sqliteJournal = (root: string): Layer.Layer<never, never, Files> =>
  Layer.effect(
    Journal,
    Effect.gen(function* () {
      const files = yield* Files
      const runs = listRuns(root).pipe(
        Effect.provideService(Files, files),
        Effect.orElseSucceed((): ReadonlyArray<string> => [])
      )
      return journalOver(yield* openJournal(root), runs, journalFile(root))
    }).pipe(Effect.catch((error) => Effect.as(unwritable(journalFile(root), error), forgetful)))
  )

interface ToldTry {
  readonly task: string
  readonly status: Try["status"]
  readonly started: number
  readonly error: string | null
}

export const triesOf = (root: string, run: string, node: string): Effect.Effect<ReadonlyArray<Try>> =>
  Effect.gen(function* () {
    if (!existsSync(journalFile(root))) return []
    const sql = yield* openSqlite(journalFile(root))
    const rows = yield* sql<ToldTry>`SELECT task, tries.status, tries.started, tries.error FROM tries
      JOIN executions ON execution = executions.id, json_each(nodes) AS node
      WHERE run = ${run} AND node.value = ${node} ORDER BY tries.id`
    return rows.map(({ task, status, started, error }): Try => ({
      task,
      status,
      started: new Date(started).toISOString(),
      ...(error === null ? {} : { error })
    }))
  }).pipe(
    Effect.scoped,
    // Another version's file, or a damaged one, of which the next run will say so.
    Effect.catchCause(() => Effect.succeed([]))
  )
