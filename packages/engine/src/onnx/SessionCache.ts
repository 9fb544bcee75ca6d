/**
 * Compiled sessions, one per (program object, shapes of its inputs). The least recently used ones go when there are too many, and
 * all of them with the scope they were made in.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { makeCompileCache } from "../CompileCache.ts"
import { asEngineError } from "../EngineError.ts"
import type { EngineError } from "../EngineError.ts"
import type { Graph } from "../Graph.ts"
import { mapTensors } from "../HostTensors.ts"
import type { Specs } from "../Program.ts"
import { int8Weights } from "./Int8.ts"
import { lower } from "./Lower.ts"
import type { OnnxPrecision } from "./Lower.ts"
import type { SessionClient } from "./SessionClient.ts"
import { isUncopied } from "./Uncopied.ts"

export interface CompiledSession {
  /** Weights that it wants in 8 bits. */
  readonly int8: ReadonlyArray<string>
  readonly session: number
  /** Names of the graph's outputs. */
  readonly outputs: ReadonlyArray<string>
  readonly specs: Specs
}

export interface SessionCache {
  readonly get: (program: object, key: string, graph: () => Graph) => Effect.Effect<CompiledSession, EngineError>
}

let sessions = 0

/** Where a graph has nothing else, as an optimiser's update, ONNX Runtime finds nothing to rewrite; to look for it takes most of a compile. */
const elementwise = new Set(["Input", "Constant", "Splat", "Add", "Sub", "Mul", "Div", "Sqrt", "Max", "Min"])

const asWritten = ({ order, values }: Graph): boolean =>
  order !== undefined || values.every(({ op }) => elementwise.has(op))

/**
 * A session's arena keeps its largest memory for good, for about a tenth more speed. A program's first session has one; those for further
 * shapes share the process's memory, or a training over several text lengths would hold the sum of all of theirs.
 */
const compile = (
  client: SessionClient,
  build: () => Graph,
  arena: boolean,
  precision: OnnxPrecision
): Effect.Effect<CompiledSession, EngineError> =>
  Effect.gen(function* () {
    const graph = yield* Effect.try({ try: build, catch: asEngineError })
    const session = ++sessions
    const model = lower(graph, precision)
    const specs = mapTensors(graph.outputs, ({ shape, dtype }) => ({ shape, dtype }))
    yield* client.ask(graph.name, {
      _tag: "Compile",
      session,
      program: graph.name,
      model,
      arena,
      asWritten: asWritten(graph),
      ...(isUncopied(specs) && { outputs: specs })
    })
    return { session, outputs: Object.keys(specs), specs, int8: precision === "int8" ? int8Weights(graph) : [] }
  })

export const makeSessionCache = (
  client: SessionClient,
  precision: OnnxPrecision = "fp32"
): Effect.Effect<SessionCache, never, Scope.Scope> =>
  makeCompileCache<CompiledSession>(({ session }) =>
    Effect.ignore(client.ask("onnx executor", { _tag: "Release", session }))
  ).pipe(
    Effect.map(({ get }) => ({
      get: (program, key, graph) => get(program, key, (first) => compile(client, graph, first, precision))
    }))
  )
