/** Artifacts and writers in memory, and how an operator is opened and driven in a test as the runtime would do it. */
import { columnsOf, encodeShard, keyOf, makeBatch, rowIdVector, sha256, sliceRows, sourceRowIds } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { AnyOperator, Artifact, ArtifactType, ArtifactWriter, Batch, Files, Metrics } from "@bootlace/graph"
import { Effect, Layer, Schema } from "effect"
import type { Scope } from "effect"
import type { Vector } from "apache-arrow"

export type Columns = Readonly<Record<string, Vector>>

/** Rows as a node gets them: `row_id` first. */
export const rowsOf = (columns: Columns, shard = "test"): Batch => {
  const length = Object.values(columns)[0]?.length ?? 0
  return makeBatch({ row_id: rowIdVector(sourceRowIds(shard, 0, length)), ...columns })
}

export const artifactOf = (type: ArtifactType, files: Files): Artifact => ({
  type,
  digest: keyOf(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)])),
  files: Object.keys(files),
  read: (name) => {
    const bytes = files[name]
    return bytes === undefined
      ? Effect.fail(new NodeError({ code: "R401", node: "test", detail: `no file ${name}` }))
      : Effect.sync(() => bytes.slice())
  }
})

export const memoryWriter = () => {
  const files: Record<string, Uint8Array> = {}
  const writer: ArtifactWriter = {
    write: (name, bytes) =>
      Effect.sync(() => {
        if (files[name] !== undefined) throw new Error(`${name} was written twice`)
        files[name] = bytes instanceof Uint8Array ? bytes : new Uint8Array(Buffer.concat(bytes))
      })
  }
  return { files, writer }
}

export interface Given {
  /** As it stands in YAML. */
  readonly config?: unknown
  readonly artifacts?: Readonly<Record<string, Artifact>>
  readonly seed?: number
  readonly directory?: string
  /** The services that the operator needs. */
  readonly layer?: Layer.Layer<any, any>
}

export const decodeConfig = (operator: AnyOperator, config: unknown = {}) =>
  Schema.decodeUnknownEffect(operator.config, { errors: "all", onExcessProperty: "error" })(config)

export const contextOf = (operator: AnyOperator, given: Given) =>
  Effect.map(decodeConfig(operator, given.config), (config) => ({
    node: "node",
    config,
    seed: given.seed ?? 7,
    artifacts: given.artifacts ?? {},
    directory: given.directory ?? process.cwd()
  }))

/** Runs an effect with the services given, in a scope of its own. */
export const runIn = <A, E>(given: Given, effect: Effect.Effect<A, E, any>): Promise<A> =>
  Effect.runPromise(Effect.scoped(Effect.provide(effect, given.layer ?? Layer.empty)) as Effect.Effect<A, E>)

/** What an effect fails with; a success or a defect is an error of the test. */
export const failureOf = (given: Given, effect: Effect.Effect<unknown, unknown, any>): Promise<unknown> =>
  runIn(given, Effect.flip(effect))

export interface FoldResult {
  readonly metrics: Metrics
  readonly files: Files
}

/** Drives a fold over batches of a port and gives what it wrote; with `restart` it is thrown away after that many batches and restored. */
export const runFold = Effect.fnUntraced(function* (
  operator: AnyOperator,
  given: Given,
  batches: ReadonlyArray<readonly [port: string, batch: Batch]>,
  restart?: number
) {
  if (operator.kind !== "fold") throw new Error(`${operator.name} is a ${operator.kind}`)
  const context = yield* contextOf(operator, given)
  let memory = memoryWriter()
  let fold = yield* operator.body.open({ ...context, writer: memory.writer })
  for (const [index, [port, batch]] of batches.entries()) {
    if (index === restart) {
      const saved: Files = yield* fold.snapshot
      // The files survive as bytes only, and what the writer took after the snapshot is written again.
      const copied = Object.fromEntries(Object.entries(saved).map(([name, bytes]) => [name, bytes.slice()]))
      const written = memory.files
      memory = memoryWriter()
      Object.assign(memory.files, written)
      fold = yield* operator.body.open({ ...context, writer: memory.writer })
      yield* fold.restore(copied)
    }
    yield* fold.step(port, batch)
  }
  const metrics: Metrics = yield* fold.finish
  return { metrics, files: memory.files } satisfies FoldResult
}) as (
  operator: AnyOperator,
  given: Given,
  batches: ReadonlyArray<readonly [port: string, batch: Batch]>,
  restart?: number
) => Effect.Effect<FoldResult, unknown, Scope.Scope>

/** A batch cut into pieces of these sizes; the last piece is what is left. Zero is an empty batch. */
export const split = (batch: Batch, sizes: ReadonlyArray<number>): ReadonlyArray<Batch> => {
  let start = 0
  const pieces = sizes.map((size) => {
    const end = Math.min(batch.numRows, start + size)
    const piece = sliceRows(batch, start, end)
    start = end
    return piece
  })
  return start < batch.numRows ? [...pieces, sliceRows(batch, start, batch.numRows)] : pieces
}

/** One string for equal columns, rows and bytes. */
export const fingerprint = (columns: Columns): string => sha256(encodeShard([makeBatch(columns)]))
export const fingerprintOf = (batch: Batch): string => fingerprint(columnsOf(batch))

export const filesFingerprint = (files: Files): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, sha256(bytes)]))

export const readJson = (files: Files, name: string): unknown => JSON.parse(new TextDecoder().decode(files[name]))
