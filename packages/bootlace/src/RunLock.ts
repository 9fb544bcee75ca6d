/**
 * run.lock: what it takes to run a finished run again elsewhere and to see that it came out the same.
 *
 *   <store>/runs/<run id>/run.lock    JSON, written when the run is done
 *
 * Data are not in it, only what they hashed to: a source that reads something else shows as a difference.
 */
import type { Plan, RunRecord } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { readFile } from "node:fs/promises"
import { usage } from "./Failure.ts"
import { version } from "./version.ts"

export const RunLock = Schema.Struct({
  format: Schema.Literal("bootlace-run-lock-1"),
  run: Schema.String,
  /** Versions of what computed it. */
  bootlace: Schema.String,
  node: Schema.String,
  operators: Schema.Record(Schema.String, Schema.Int),
  /** Packages of others, by name; locks of the first release have none. */
  dependencies: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  pipeline: Schema.Struct({
    /** As it was typed: relative paths in configs start at its folder. */
    file: Schema.String,
    text: Schema.String,
    set: Schema.Array(Schema.String),
    only: Schema.optionalKey(Schema.Array(Schema.String)),
    seed: Schema.optionalKey(Schema.Int)
  }),
  plan: Schema.String,
  engine: Schema.Literals(["onnx", "tensorflow", "webgpu", "eager"]),
  precision: Schema.optionalKey(Schema.Literals(["fp32", "bf16", "int8"])),
  threads: Schema.Int,
  /** Engine, version, instruction set, threads, precision: bytes are promised where these are equal. */
  numerics: Schema.String,
  /** By node: sha256 of its output. */
  artifacts: Schema.Record(Schema.String, Schema.String)
})
export type RunLock = typeof RunLock.Type

export interface Locked {
  readonly record: RunRecord
  readonly plan: Plan
  readonly pipeline: RunLock["pipeline"]
  readonly engine: RunLock["engine"]
  readonly precision: NonNullable<RunLock["precision"]>
  readonly threads: number
  readonly dependencies: Readonly<Record<string, string>>
}

export const operatorVersions = (plan: Plan): Readonly<Record<string, number>> =>
  Object.fromEntries(plan.nodes.map(({ operator }) => [operator.name, operator.version]))

export const lockOf = ({ record, plan, pipeline, engine, precision, threads, dependencies }: Locked): RunLock => ({
  format: "bootlace-run-lock-1",
  run: record.run,
  bootlace: version,
  node: process.versions.node,
  operators: operatorVersions(plan),
  dependencies,
  pipeline,
  plan: record.plan,
  engine,
  ...(precision === "fp32" ? {} : { precision }),
  threads,
  numerics: record.engine,
  artifacts: Object.fromEntries(Object.entries(record.nodes).map(([id, { artifact }]) => [id, artifact]))
})

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(RunLock))

/** Fails with what is wrong with the file. */
export const readLock = Effect.fnUntraced(function* (file: string) {
  const text = yield* Effect.tryPromise({
    try: () => readFile(file, "utf8"),
    catch: (cause) => usage(`error: ${file} not readable: ${(cause as Error).message}`)
  })
  return yield* decode(text).pipe(
    Effect.mapError((error) =>
      usage(
        `error: ${file} is no run.lock: ${error.message}\nhint: a finished run leaves one in its folder in the store`
      )
    )
  )
})
