/**
 * bootlace.config.ts: a project's own operators, looked up from the pipeline's folder upward; the nearest one counts.
 *
 * It is code and runs with the user's rights (docs/security.md); `--no-config` refuses it.
 */
import type { AnyOperator, Registry } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { stat } from "node:fs/promises"
import { dirname, join, resolve } from "node:path"
import { pathToFileURL } from "node:url"
import { usage } from "./Failure.ts"

export interface Config {
  /** Operators that pipelines may name beside the built-in ones. */
  readonly operators?: ReadonlyArray<AnyOperator>
  /** By operator: whom a report asks to credit when a pipeline uses it. */
  readonly attribution?: Readonly<Record<string, string>>
}

/** Types a bootlace.config.ts. */
export const defineConfig = (config: Config): Config => config

const names = ["bootlace.config.ts", "bootlace.config.mjs", "bootlace.config.js"]

const isFile = (path: string): Effect.Effect<boolean> =>
  Effect.promise(() =>
    stat(path).then(
      (found) => found.isFile(),
      () => false
    )
  )

/** The nearest config at or above a folder. */
export const findConfig = Effect.fnUntraced(function* (folder: string) {
  for (let at = resolve(folder); ; at = dirname(at)) {
    for (const name of names) {
      const path = join(at, name)
      if (yield* isFile(path)) return path
    }
    if (dirname(at) === at) return undefined
  }
})

const kinds = new Set(["source", "map", "route", "expand", "union", "fold", "train"])

const isOperator = (value: unknown): value is AnyOperator =>
  typeof value === "object" &&
  value !== null &&
  "name" in value &&
  typeof value.name === "string" &&
  "kind" in value &&
  kinds.has(value.kind as string)

const checked = (path: string, exported: unknown): Effect.Effect<Config, ReturnType<typeof usage>> => {
  if (typeof exported !== "object" || exported === null)
    return Effect.fail(
      usage(`error: ${path} has no default export\nhint: export default defineConfig({ operators: [...] })`)
    )
  const config = exported as Config
  const wrong = (config.operators ?? []).findIndex((operator) => !isOperator(operator))
  return wrong < 0
    ? Effect.succeed(config)
    : Effect.fail(
        usage(
          `error: ${path}: operators[${wrong}] is no operator\nhint: make it with Operator.source, Operator.map and so on`
        )
      )
}

/** The project's config for a folder; an empty one where there is none or none is wanted. */
export const loadConfig = Effect.fnUntraced(function* (folder: string, refuse: boolean) {
  const path = refuse ? undefined : yield* findConfig(folder)
  if (path === undefined) return {} as Config
  const loaded = yield* Effect.tryPromise({
    try: () => import(pathToFileURL(path).href) as Promise<{ readonly default?: unknown }>,
    catch: (cause) => usage(`error: ${path} does not load: ${cause instanceof Error ? cause.message : String(cause)}`)
  })
  return yield* checked(path, loaded.default)
})

/** Built-in operators and the project's; a project may not take a built-in name. */
export const registryWith = (builtIn: Registry, config: Config): Effect.Effect<Registry, ReturnType<typeof usage>> => {
  const own = config.operators ?? []
  const taken = own.find((operator) => Object.hasOwn(builtIn, operator.name))
  if (taken !== undefined)
    return Effect.fail(usage(`error: operator ${taken.name} of bootlace.config.ts has the name of a built-in operator`))
  return Effect.succeed({ ...builtIn, ...Object.fromEntries(own.map((operator) => [operator.name, operator])) })
}

/** The credits that the operators of a pipeline ask for. */
export const attributionOf = (config: Config, operators: Iterable<string>): string | undefined => {
  const texts = [...new Set(operators)].flatMap((name) => config.attribution?.[name] ?? [])
  return texts.length === 0 ? undefined : [...new Set(texts)].join("\n")
}
