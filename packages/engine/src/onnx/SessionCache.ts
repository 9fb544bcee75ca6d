/**
 * Compiled sessions, one per (program object, shapes of its inputs). The least recently used ones go when there are too many, and
 * all of them with the scope they were made in.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { EngineError } from "../EngineError.ts"
import type { Graph } from "../Graph.ts"
import { lower } from "./Lower.ts"
import type { SessionClient } from "./SessionClient.ts"

export interface CompiledSession {
  readonly session: number
  readonly graph: Graph
}

export interface SessionCache {
  readonly get: (program: object, key: string, graph: () => Graph) => Effect.Effect<CompiledSession, EngineError>
}

interface Entry extends CompiledSession {
  readonly program: object
  readonly key: string
}

const capacity = 64
let sessions = 0

const compile = (client: SessionClient, build: () => Graph): Effect.Effect<CompiledSession, EngineError> =>
  Effect.gen(function* () {
    const graph = yield* Effect.try({ try: build, catch: (cause) => asEngineError(cause) })
    const session = ++sessions
    yield* client.ask(graph.name, { _tag: "Compile", session, model: lower(graph) })
    return { session, graph }
  })

/** Capture throws EngineErrors only; anything else is a bug of ours and must not look like a user's. */
function asEngineError(cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  throw cause
}

export const makeSessionCache = (client: SessionClient): Effect.Effect<SessionCache, never, Scope.Scope> =>
  Effect.gen(function* () {
    const entries = new Set<Entry>()
    const release = ({ session }: CompiledSession) =>
      Effect.ignore(client.ask("onnx executor", { _tag: "Release", session }))
    yield* Effect.addFinalizer(() => Effect.forEach(entries, release, { discard: true }))
    const get: SessionCache["get"] = (program, key, graph) =>
      Effect.gen(function* () {
        const known = [...entries].find((entry) => entry.program === program && entry.key === key)
        const entry: Entry = known ?? { program, key, ...(yield* compile(client, graph)) }
        // A set keeps insertion order: the first is the one unused for longest.
        entries.delete(entry)
        entries.add(entry)
        const [oldest] = entries
        if (entries.size > capacity && oldest !== undefined) {
          entries.delete(oldest)
          yield* release(oldest)
        }
        return entry
      })
    return { get }
  })
