/**
 * What an executor has compiled, one per (program object, key). The least recently used ones go when there are too many, and all of them
 * with the scope they were made in.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import type { EngineError } from "./EngineError.ts"

export interface CompileCache<Compiled> {
  /** `compile` is told whether it is the program's first. */
  readonly get: (
    program: object,
    key: string,
    compile: (first: boolean) => Effect.Effect<Compiled, EngineError>
  ) => Effect.Effect<Compiled, EngineError>
}

interface Entry<Compiled> {
  readonly program: object
  readonly key: string
  readonly compiled: Compiled
}

const capacity = 64

export const makeCompileCache = <Compiled>(
  release: (compiled: Compiled) => Effect.Effect<void>
): Effect.Effect<CompileCache<Compiled>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const entries = new Set<Entry<Compiled>>()
    yield* Effect.addFinalizer(() => Effect.forEach(entries, ({ compiled }) => release(compiled), { discard: true }))
    // Not interruptible: what was compiled and not noted would never be released.
    const get: CompileCache<Compiled>["get"] = (program, key, compile) =>
      Effect.uninterruptible(
        Effect.gen(function* () {
          const alike = [...entries].filter((entry) => entry.program === program)
          const known = alike.find((entry) => entry.key === key)
          const entry = known ?? { program, key, compiled: yield* compile(alike.length === 0) }
          // A set keeps insertion order: the first is the one unused for longest.
          entries.delete(entry)
          entries.add(entry)
          const [oldest] = entries
          if (entries.size > capacity && oldest !== undefined) {
            entries.delete(oldest)
            yield* release(oldest.compiled)
          }
          return entry.compiled
        })
      )
    return { get }
  })
