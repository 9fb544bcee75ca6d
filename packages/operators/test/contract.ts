/**
 * The contract that every operator keeps, checked on a few rows of its own.
 *
 *   all      config errors name their key; a column that isn't there is a NodeError; no tensor is leaked
 *   map      columns as declared; the input unchanged; rows out + rejected = rows in, in order; any split, same bytes; empty batch; null rows
 *   route    every row has one port, every row off the first port a reason; any split, same answer
 *   fold     any split, same bytes; snapshot and restore at every split equal an undisturbed run
 *   source   same content and bytes whenever it is opened; unique shard keys; columns and rows as declared
 */
import { columnsOf, concatBatches, makeBatch, sliceRows } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { AnyOperator, Batch, Columns as Declared, Rejected, StoredType } from "@bootlace/graph"
import { engine } from "@tensorflow/tfjs-core"
import { DataType } from "apache-arrow"
import { Effect, Result, Stream } from "effect"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as memory from "./inMemory.ts"
import type { Columns, Given } from "./inMemory.ts"

export interface Fixtures extends Given {
  /** Input rows without `row_id`, at least four. Sources have none. */
  readonly columns?: Columns
  /** The port that a fold gets them on. */
  readonly port?: string
  /** Row by row the same columns with something missing: each row is rejected, routed or a NodeError. */
  readonly nulls?: Columns
  /** Configs that must not decode, and what the error must name. */
  readonly badConfigs?: ReadonlyArray<{ readonly config: unknown; readonly names: RegExp }>
}

const isType: Readonly<Record<StoredType, (type: DataType) => boolean>> = {
  image: (type) => DataType.isStruct(type) && type.children.map((child) => child.name).join() === "bytes,path",
  text: DataType.isUtf8,
  token_ids: (type) => DataType.isFixedSizeList(type) && DataType.isInt(type.valueType),
  image_tokens: (type) => DataType.isFixedSizeList(type) && DataType.isFloat(type.valueType),
  embedding: (type) => DataType.isFixedSizeList(type) && DataType.isFloat(type.valueType),
  score: (type) => DataType.isFloat(type) && type.precision === 1,
  label: (type) => DataType.isInt(type) && type.bitWidth === 32,
  flag: DataType.isBool
}

const expectDeclared = (columns: Columns, declared: Declared, rows: number): void => {
  expect(Object.keys(columns).sort()).toEqual(Object.keys(declared).sort())
  for (const [name, vector] of Object.entries(columns)) {
    expect(vector.length, `rows of ${name}`).toBe(rows)
    expect(isType[declared[name] as StoredType](vector.type), `${name} is a ${declared[name]}: ${vector.type}`).toBe(
      true
    )
  }
}

const expectReasons = (rejected: ReadonlyArray<Rejected>, rows: number): void => {
  const places = rejected.map(({ row }) => row)
  expect(places).toEqual([...new Set(places)].toSorted((a, b) => a - b))
  for (const { row, code, reason } of rejected) {
    expect(row).toBeLessThan(rows)
    expect(code).toMatch(/^R\d{3}$/)
    expect(reason.length).toBeGreaterThan(5)
  }
}

const none = { code: "R000", node: "test", detail: "nothing failed" }

/** What fails, fails as a NodeError. */
const expectNodeError = (result: Result.Result<unknown, unknown>): void => {
  expect(Result.isFailure(result) ? result.failure : new NodeError(none)).toBeInstanceOf(NodeError)
}

/** Sizes of pieces, empty ones among them, that a runtime could cut the rows into. */
const pieces = (rows: number) => fc.array(fc.nat({ max: Math.ceil(rows / 2) }), { minLength: 1, maxLength: rows })

/** Answers to the rows of a batch, one answer a call of at most `size` rows. */
const inCalls = (batch: Batch, size: number): ReadonlyArray<Batch> =>
  memory.split(batch, Array<number>(Math.max(1, Math.ceil(batch.numRows / size))).fill(size))

/** What a row operator answers, in one shape for maps and routes; `key` is equal for equal answers. */
interface Answer {
  readonly key: string
  readonly check: (rows: number) => void
}

const openRows = Effect.fnUntraced(function* (operator: AnyOperator, given: Given) {
  const context = yield* memory.contextOf(operator, given)
  switch (operator.kind) {
    case "map": {
      const body = yield* operator.body.open(context)
      const size: number = operator.body.batchSize?.(context.config) ?? Number.POSITIVE_INFINITY
      const answer = (batch: Batch) =>
        Effect.gen(function* () {
          const calls = yield* Effect.forEach(inCalls(batch, Math.min(size, Math.max(1, batch.numRows))), body)
          const columns = columnsOf(concatBatches(calls.map((call) => makeBatch(call.columns))))
          const rejected = calls.flatMap((call) => call.rejected)
          const check = (rows: number): void => {
            expectDeclared(columns, operator.outputs, rows - rejected.length)
            calls.forEach((call) => expectReasons(call.rejected, rows))
          }
          return { key: memory.fingerprint(columns) + JSON.stringify(rejected), check } satisfies Answer
        })
      return { answer, regroups: size !== Number.POSITIVE_INFINITY }
    }
    case "route": {
      const body = yield* operator.body.open(context)
      const answer = (batch: Batch) =>
        Effect.map(body(batch), ({ ports, reasons }): Answer => ({
          key: JSON.stringify([[...ports], reasons]),
          check: (rows) => {
            expect(ports.length).toBe(rows)
            for (const port of ports) expect(port).toBeLessThan(operator.ports.length)
            const away = [...ports.keys()].filter((row) => ports[row] !== 0)
            expect(reasons.map(({ row }) => row)).toEqual(away)
            for (const { reason } of reasons) expect(reason.length).toBeGreaterThan(5)
          }
        }))
      return { answer, regroups: false }
    }
    default:
      throw new Error(`${operator.name} is a ${operator.kind}`)
  }
})

/** The answers to all pieces of a batch, as if it were one: rows count from the start of the batch. */
const joined = (operator: AnyOperator, given: Given, batch: Batch, sizes: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const context = yield* memory.contextOf(operator, given)
    const open = (operator as Extract<AnyOperator, { kind: "map" | "route" }>).body.open
    const body = yield* open(context)
    let start = 0
    const columns: Array<Batch> = []
    const rest: Array<unknown> = []
    for (const piece of memory.split(batch, sizes)) {
      const out = yield* body(piece) as Effect.Effect<any, NodeError>
      if (operator.kind === "map") columns.push(makeBatch(out.columns))
      for (const each of out.rejected ?? out.reasons) rest.push({ ...each, row: each.row + start })
      out.ports?.forEach((port: number, row: number) => rest.push({ row: row + start, port }))
      start += piece.numRows
    }
    const rows = columns.length === 0 ? "" : memory.fingerprintOf(concatBatches(columns))
    return rows + JSON.stringify(rest.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)))
  })

const rowContract = (
  operator: AnyOperator,
  given: Given & { readonly columns: Columns },
  nulls: Columns | undefined
) => {
  const batch = memory.rowsOf(given.columns)
  const answered = (rows: Batch) =>
    memory.runIn(
      given,
      Effect.flatMap(openRows(operator, given), ({ answer }) => answer(rows))
    )

  it("answers every row as declared, twice the same, and leaves its input alone", async () => {
    const given = memory.fingerprintOf(batch)
    const first = await answered(batch)
    first.check(batch.numRows)
    expect((await answered(batch)).key).toBe(first.key)
    expect(memory.fingerprintOf(batch)).toBe(given)
  })

  it("answers an empty batch", async () => {
    const empty = await answered(sliceRows(batch, 0, 0))
    empty.check(0)
  })

  it("gives the same for any split into batches", async () => {
    const { regroups } = await memory.runIn(given, openRows(operator, given))
    // The runtime regroups the rows of a shard for it, so a split never reaches it.
    if (regroups) return
    const whole = await memory.runIn(given, joined(operator, given, batch, [batch.numRows]))
    await fc.assert(
      fc.asyncProperty(pieces(batch.numRows), async (sizes) => {
        expect(await memory.runIn(given, joined(operator, given, batch, sizes))).toBe(whole)
      }),
      { numRuns: 12 }
    )
  })

  if (nulls === undefined) return
  it("survives rows with something missing, or names them", async () => {
    const missing = memory.rowsOf(nulls)
    const opened = Effect.flatMap(openRows(operator, given), ({ answer }) => Effect.result(answer(missing)))
    const result = await memory.runIn(given, opened)
    if (result._tag === "Success") result.success.check(missing.numRows)
    expectNodeError(result)
  })
}

const foldContract = (operator: AnyOperator, given: Fixtures & { readonly columns: Columns }) => {
  const batch = memory.rowsOf(given.columns)
  const port = given.port ?? "rows"
  const fed = (sizes: ReadonlyArray<number>) => memory.split(batch, sizes).map((piece) => [port, piece] as const)
  const run = async (sizes: ReadonlyArray<number>, restart?: number) => {
    const { metrics, files } = await memory.runIn(given, memory.runFold(operator, given, fed(sizes), restart))
    return { metrics, files: memory.filesFingerprint(files) }
  }

  it("writes an artifact and finite metrics, the same for any split into batches", async () => {
    const whole = await run([batch.numRows])
    expect(Object.keys(whole.files).length).toBeGreaterThan(0)
    for (const value of Object.values(whole.metrics)) expect(Number.isFinite(value)).toBe(true)
    await fc.assert(
      fc.asyncProperty(pieces(batch.numRows), async (sizes) => {
        expect(await run(sizes)).toEqual(whole)
      }),
      { numRuns: 8 }
    )
  })

  it("continues from a snapshot at every split as if nothing had happened", async () => {
    const ones = Array<number>(batch.numRows).fill(1)
    const undisturbed = await run(ones)
    for (const restart of ones.keys()) expect(await run(ones, restart), `restarted at ${restart}`).toEqual(undisturbed)
  })

  it("ends without rows in an artifact or a NodeError", async () => {
    const ended = await memory.runIn(given, Effect.result(memory.runFold(operator, given, [])))
    const files = ended._tag === "Success" ? Object.keys(ended.success.files) : ["none"]
    expect(files.length).toBeGreaterThan(0)
    expectNodeError(ended)
  })

  const { nulls } = given
  if (nulls === undefined) return
  it("takes rows with something missing, or names them", async () => {
    const missing = memory.rowsOf(nulls)
    const ended = await memory.runIn(given, Effect.result(memory.runFold(operator, given, [[port, missing]])))
    expectNodeError(ended)
  })
}

const sourceContract = (operator: Extract<AnyOperator, { kind: "source" }>, given: Given) => {
  const opened = Effect.flatMap(memory.contextOf(operator, given), (context) => operator.body.open(context))
  const readAll = Effect.gen(function* () {
    const source = yield* opened
    const shards = yield* Effect.forEach(source.shards.keys(), (shard) => Stream.runCollect(source.read(shard)))
    return { source, shards }
  }) as Effect.Effect<{ source: any; shards: ReadonlyArray<ReadonlyArray<any>> }, NodeError, any>

  it("gives the columns and rows that it declares", async () => {
    const { source, shards } = await memory.runIn(given, readAll)
    expect(shards.length).toBeGreaterThan(0)
    expect(new Set(source.shards.map(({ key }: { key: string }) => key)).size).toBe(shards.length)
    const [columns] = Object.values(operator.ports) as [Declared]
    shards.forEach((batches, shard) => {
      const rows = batches.reduce((sum: number, { batch, rejected }) => sum + batch.numRows + rejected.length, 0)
      expect(rows).toBe(source.shards[shard].rows ?? rows)
      for (const { batch, rejected } of batches) {
        expectDeclared(columnsOf(batch), columns, batch.numRows)
        expectReasons(rejected, rows)
      }
    })
  })

  it("gives the same content and the same bytes whenever it is opened", async () => {
    const bytes = ({ source, shards }: Effect.Success<typeof readAll>) => [
      source.content,
      source.shards,
      shards.map((batches) => batches.map(({ batch, rejected }) => [memory.fingerprintOf(batch), rejected]))
    ]
    expect(bytes(await memory.runIn(given, readAll))).toEqual(bytes(await memory.runIn(given, readAll)))
  })
}

/** Checks an operator; call it at the top of a test file. */
export const operatorContract = (operator: AnyOperator, fixtures: Fixtures): void => {
  describe(`${operator.name} keeps the contract`, () => {
    const { columns } = fixtures
    let tensors = 0
    beforeAll(() => {
      tensors = engine().state.numTensors
    })
    afterAll(() => {
      expect(engine().state.numTensors, "tensors leaked").toBe(tensors)
    })

    it("says what it does", () => {
      expect(operator.description.length).toBeGreaterThan(10)
      expect(Number.isInteger(operator.version) && operator.version > 0).toBe(true)
    })

    it.each(fixtures.badConfigs ?? [])("refuses the config $config and says why", async ({ config, names }) => {
      const error = await Effect.runPromise(Effect.flip(memory.decodeConfig(operator, config)))
      expect(error.message).toMatch(names)
    })

    if (operator.kind === "source") sourceContract(operator, fixtures)
    if (columns === undefined) return
    const given = { ...fixtures, columns }
    if (operator.kind === "fold") foldContract(operator, given)
    if (operator.kind === "map" || operator.kind === "route") rowContract(operator, given, fixtures.nulls)

    const declared = Object.keys(operator.inputs).filter((name) => columns[name] !== undefined)
    if (declared.length === 0) return
    it("fails with a NodeError when a column isn't there", async () => {
      const bare = memory.rowsOf(Object.fromEntries(Object.entries(columns).filter(([name]) => name !== declared[0])))
      const used =
        operator.kind === "fold"
          ? memory.runFold(operator, given, [[given.port ?? "rows", bare]])
          : openRows(operator, given).pipe(Effect.flatMap(({ answer }) => answer(bare)))
      expect(await memory.failureOf(given, used)).toBeInstanceOf(NodeError)
    })
  })
}
