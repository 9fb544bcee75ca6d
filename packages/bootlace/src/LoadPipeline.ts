/** From a file name on the command line to a checked plan, with the project's operators; no model and no data is touched. */
import { only as partOf, readPipeline } from "@bootlace/graph"
import type { Plan, Registry } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { readdir, readFile } from "node:fs/promises"
import { dirname, resolve } from "node:path"
import { loadConfig, registryWith } from "./ConfigFile.ts"
import type { Config } from "./ConfigFile.ts"
import { usage } from "./Failure.ts"
import type { Failure } from "./Failure.ts"
import type { PipelineOptions } from "./Invocation.ts"

export interface LoadedPipeline {
  readonly plan: Plan
  readonly config: Config
  /** The pipeline file's folder: relative paths in configs start here. */
  readonly directory: string
  /** The file's text. */
  readonly text: string
}

/** `--set name=value`, several times. */
export const parseSet = (words: ReadonlyArray<string>): Effect.Effect<Readonly<Record<string, string>>, Failure> =>
  Effect.gen(function* () {
    const values: Record<string, string> = {}
    for (const word of words) {
      const at = word.indexOf("=")
      if (at <= 0) return yield* usage(`error: --set ${word}: expected name=value`)
      const name = word.slice(0, at)
      if (Object.hasOwn(values, name)) return yield* usage(`error: --set ${name} stands twice`)
      values[name] = word.slice(at + 1)
    }
    return values
  })

const missing = Effect.fnUntraced(function* (file: string, cause: unknown) {
  const code = (cause as NodeJS.ErrnoException).code
  if (code !== "ENOENT" && code !== "ENOTDIR")
    return yield* usage(`error: ${file} not readable: ${(cause as Error).message}`)
  const beside = yield* Effect.promise(() => readdir(dirname(resolve(file))).catch((): ReadonlyArray<string> => []))
  const pipelines = beside.filter((name) => /\.ya?ml$/.test(name)).slice(0, 12)
  const hint = pipelines.length === 0 ? "" : `\nhint: in that folder are ${pipelines.join(", ")}`
  return yield* usage(`error: ${file} not found${hint}`)
})

/** Built-in operators and the project's. */
export const loadRegistry = Effect.fnUntraced(function* (folder: string, noConfig: boolean) {
  const { operators } = yield* Effect.promise(() => import("@bootlace/operators/registry"))
  const config = yield* loadConfig(folder, noConfig)
  const all: Registry = yield* registryWith(operators, config)
  return { registry: all, config }
})

/** A pipeline as text, and what was said beside it. */
export interface PipelineText extends PipelineOptions {
  readonly text: string
}

const restricted = (plan: Plan, names: ReadonlyArray<string>): Effect.Effect<Plan, Failure> => {
  if (names.length === 0) return Effect.succeed(plan)
  const part = partOf(plan, names)
  if (!("_tag" in part)) return Effect.succeed(part)
  const hint = part.nearest === undefined ? "" : `\nhint: did you mean ${part.nearest}?`
  return usage(`error: --only ${part.name}: the pipeline has no such node${hint}`)
}

/** Fails with Diagnostics for a wrong pipeline and with a Failure (exit 2) for a wrong invocation. */
export const planOf = Effect.fnUntraced(function* ({ file, text, set, seed, only, noConfig }: PipelineText) {
  const values = yield* parseSet(set)
  const directory = dirname(resolve(file))
  const { registry, config } = yield* loadRegistry(directory, noConfig)
  const whole = yield* readPipeline(text, { file, registry, set: values, seed })
  const plan = yield* restricted(whole, only)
  return { plan, config, directory, text } satisfies LoadedPipeline
})

/** As `planOf`, of the file itself. */
export const loadPipeline = Effect.fnUntraced(function* (options: PipelineOptions) {
  const { file } = options
  const text = yield* Effect.tryPromise(() => readFile(file, "utf8")).pipe(
    Effect.catch((error) => missing(file, error.cause))
  )
  return yield* planOf({ ...options, text })
})
