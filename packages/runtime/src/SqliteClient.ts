/**
 * SQLite for effect/sql over node:sqlite. Both may change with a minor version: this is the one file that touches them.
 *
 *   INTEGER  number, from 2^53 up bigint     TEXT  string      NULL  null
 *   REAL     number                          BLOB  Uint8Array
 *
 * Parameters are the same, and booleans as 1 and 0, undefined as NULL. One connection, its statements one after the other. Other
 * processes may have the file open, too (write-ahead log): whoever finds it taken tries again until `busy_ms` are over, and
 * waits without holding the thread, so that signals and progress stay live.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { Scope } from "effect"
import { layer as reactivity } from "effect/reactivity/Reactivity"
import { make, makeSqliteAcquirers } from "effect/sql/SqlClient"
import type { SqlClient } from "effect/sql/SqlClient"
import type { Connection } from "effect/sql/SqlConnection"
import { classifySqliteError, SqlError } from "effect/sql/SqlError"
import { makeCompilerSqlite } from "effect/sql/Statement"
import type * as Sqlite from "node:sqlite"

export type { SqlClient } from "effect/sql/SqlClient"
export type { SqlError } from "effect/sql/SqlError"

export interface SqliteOptions {
  /** How long a statement waits for another connection that has the file; 5 s if not said. */
  readonly busy_ms?: number
}

/** What a single try waits inside SQLite, where it holds the thread. */
const hold_ms = 20
/** Statements that stay prepared. */
const most = 64

/** Older versions of Node warn that node:sqlite is experimental; who runs a pipeline can do nothing about it. */
const loadSqlite = (): typeof Sqlite => {
  const { emitWarning } = process
  process.emitWarning = () => undefined
  try {
    return process.getBuiltinModule("node:sqlite")
  } finally {
    process.emitWarning = emitWarning
  }
}

const failed =
  (operation: string) =>
  (cause: unknown): SqlError => {
    const { errcode: errno, message } = cause as { readonly errcode?: number; readonly message: string }
    const reason = classifySqliteError(Object.assign(cause as Error, { errno }), { message, operation })
    return new SqlError({ reason })
  }

const isBusy = ({ reason }: SqlError): boolean => reason._tag === "LockTimeoutError"

/** SQLite's number for what went wrong, without what it adds to it; undefined where the error isn't SQLite's. */
export const sqliteCode = ({ reason }: SqlError): number | undefined => {
  const { errno } = reason.cause as { readonly errno?: number }
  return errno === undefined ? undefined : errno & 0xff
}

/** Any other object would be taken for a list of named parameters, and nothing be bound. */
const input = (value: unknown): Sqlite.SQLInputValue => {
  if (value === undefined) return null
  if (typeof value === "object" && value !== null && !(value instanceof Uint8Array))
    throw new TypeError(`a ${value.constructor.name} cannot be bound to an SQLite parameter`)
  return typeof value === "boolean" ? Number(value) : (value as Sqlite.SQLInputValue)
}

const output = (value: unknown): unknown => {
  if (typeof value !== "bigint") return value
  return Number.isSafeInteger(Number(value)) ? Number(value) : value
}

type Row = Record<string, unknown>
const rowOf = (row: Row): Row => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, output(value)]))

/** Hands out statements, the ones used last still prepared. */
const preparer = (db: Sqlite.DatabaseSync): ((sql: string) => Sqlite.StatementSync) => {
  const known = new Map<string, Sqlite.StatementSync>()
  return (sql) => {
    const statement = known.get(sql) ?? db.prepare(sql)
    statement.setReadBigInts(true)
    known.delete(sql)
    known.set(sql, statement)
    const [oldest] = known.keys()
    if (known.size > most) known.delete(oldest!)
    return statement
  }
}

const connectionOf = (db: Sqlite.DatabaseSync, busy_ms: number): Connection => {
  const prepare = preparer(db)
  /** Inside a transaction nothing is busy but its beginning, and that may be tried again. */
  const call = <A>(sql: string, use: () => A): Effect.Effect<A, SqlError> =>
    Effect.try({ try: use, catch: failed(sql) }).pipe(
      Effect.retry({
        while: (error) => isBusy(error) && !db.isTransaction,
        schedule: Schedule.spaced(hold_ms),
        times: Math.ceil(busy_ms / (2 * hold_ms))
      })
    )
  const rows = (statement: Sqlite.StatementSync, params: ReadonlyArray<unknown>): ReadonlyArray<Row> =>
    statement.all(...params.map(input)).map(rowOf)
  const values = (
    statement: Sqlite.StatementSync,
    params: ReadonlyArray<unknown>
  ): ReadonlyArray<ReadonlyArray<unknown>> => {
    const names = statement.columns().map(({ name }) => name)
    return rows(statement, params).map((row) => names.map((name) => row[name]))
  }
  const execute: Connection["execute"] = (sql, params, transform) =>
    Effect.map(
      call(sql, () => rows(prepare(sql), params)),
      (found) => transform?.(found) ?? found
    )
  return {
    execute,
    executeRaw: (sql, params) =>
      call(sql, () => {
        const statement = prepare(sql)
        return statement.columns().length > 0
          ? rows(statement, params)
          : rowOf({ ...statement.run(...params.map(input)) })
      }),
    executeStream: (sql, params, transform) =>
      Stream.unwrap(Effect.map(execute(sql, params, transform), Stream.fromIterable)),
    executeValues: (sql, params) => call(sql, () => values(prepare(sql), params)),
    executeValuesUnprepared: (sql, params) => call(sql, () => values(db.prepare(sql), params)),
    executeUnprepared: (sql, params, transform) =>
      Effect.map(
        call(sql, () => rows(db.prepare(sql), params)),
        (found) => transform?.(found) ?? found
      )
  }
}

/**
 * Opens a database file, or creates it (`:memory:` for none), until the scope closes. What SQLite says of a file that isn't its
 * own comes with the first statement.
 */
export const openSqlite = Effect.fnUntraced(function* (
  file: string,
  { busy_ms = Duration.toMillis("5 seconds") }: SqliteOptions = {}
): Effect.fn.Return<SqlClient, SqlError, Scope.Scope> {
  const { DatabaseSync } = loadSqlite()
  const open = Effect.try({ try: () => new DatabaseSync(file, { timeout: hold_ms }), catch: failed("open") })
  const db = yield* Effect.acquireRelease(open, (opened) => Effect.sync(() => opened.close()))
  const connection = connectionOf(db, busy_ms)
  const semaphore = Semaphore.makeUnsafe(1)
  const acquirers = makeSqliteAcquirers({
    connection: Effect.succeed(connection),
    semaphore,
    isTransaction: () => db.isTransaction
  })
  return yield* make({
    ...acquirers,
    compiler: makeCompilerSqlite(),
    driver: "sqlite",
    spanAttributes: [],
    beginTransaction: "BEGIN IMMEDIATE"
  }).pipe(Effect.provide(reactivity))
})
