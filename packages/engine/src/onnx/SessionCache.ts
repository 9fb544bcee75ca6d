/**
 * Compiled sessions, one per (program object, shapes of its inputs), and one for all shapes whose models are the same to the byte, as those
 * of a training step at other text lengths are. The least recently used ones go when there are too many, and all of them with the scope they
 * were made in.
 */
import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { makeCompileCache } from "../CompileCache.ts"
import { asEngineError } from "../EngineError.ts"
import type { EngineError } from "../EngineError.ts"
import type { Graph } from "../Graph.ts"
import { mapTensors } from "../HostTensors.ts"
import type { HostTensors, Specs } from "../Program.ts"
import { int8Weights } from "./Int8.ts"
import { lower } from "./Lower.ts"
import type { Target } from "./Lower.ts"
import { positionBounds } from "./PositionBounds.ts"
import type { Command, RunCommand } from "./Protocol.ts"
import { newSpace } from "./SessionClient.ts"
import type { SessionClient } from "./SessionClient.ts"
import { isPlaced, isUncopied } from "./Uncopied.ts"

interface Session {
  readonly number: number
  /** Of its model and of which outputs stay on the device. */
  readonly digest: string
  /** Shapes that it serves. */
  uses: number
}

export interface CompiledSession {
  /** Weights that it wants in 8 bits. */
  readonly int8: ReadonlyArray<string>
  readonly session: Session
  /** Of its operands at these shapes. */
  readonly space: number
  /** All its outputs. */
  readonly specs: Specs
  /** What a run of it takes beside inputs. */
  readonly needs: Pick<RunCommand, "outputs" | "bounds">
}

export interface SessionCache {
  /** `held`: outputs that a run's caller holds; where they stay is part of a session. */
  readonly get: (
    program: object,
    key: string,
    graph: () => Graph,
    held?: ReadonlyArray<string>
  ) => Effect.Effect<CompiledSession, EngineError>
}

/** A session's run on these inputs and on what is in these spaces. */
export const runOf = (
  { session, space, needs }: CompiledSession,
  spaces: ReadonlyArray<number>,
  inputs: HostTensors
): RunCommand => ({ _tag: "Run", session: session.number, spaces: [...spaces, space], inputs, ...needs })

const needsOf = (graph: Graph, specs: Specs, { device }: Target): CompiledSession["needs"] => {
  if (device === "webgpu") return { bounds: positionBounds(graph) }
  return isUncopied(specs, device) ? { outputs: specs } : {}
}

/** Where a graph has nothing else, as an optimiser's update, ONNX Runtime finds nothing to rewrite; to look for it takes most of a compile. */
const elementwise = new Set(["Input", "Constant", "Splat", "Add", "Sub", "Mul", "Div", "Sqrt", "Max", "Min"])

const asWritten = ({ order, values }: Graph): boolean =>
  order !== undefined || values.every(({ op }) => elementwise.has(op))

let sessions = 0

export const makeSessionCache = (
  client: SessionClient,
  target: Target
): Effect.Effect<SessionCache, never, Scope.Scope> => {
  const open = new Map<string, Session>()
  const onDevice = target.device !== "cpu"

  // A session's arena keeps its largest memory for good, for about a tenth more speed. A program's first session has one; further ones share
  // the process's memory, or a program run at many shapes would hold the sum of all of theirs.
  const openSession = Effect.fnUntraced(function* (
    graph: Graph,
    model: Uint8Array,
    arena: boolean,
    resident: ReadonlyArray<string>
  ) {
    const digest = createHash("sha256").update(model).update(resident.join()).digest("hex")
    const known = open.get(digest)
    if (known !== undefined) return known
    const session: Session = { number: ++sessions, digest, uses: 0 }
    const { name: program } = graph
    const compile = { session: session.number, program, model, arena, asWritten: asWritten(graph), resident }
    yield* client.ask(program, { _tag: "Compile", ...compile })
    open.set(digest, session)
    return session
  })

  const compile = Effect.fnUntraced(function* (build: () => Graph, arena: boolean, held: ReadonlyArray<string>) {
    const graph = yield* Effect.try({ try: build, catch: asEngineError })
    const { model, operands } = lower(graph, target)
    const resident = onDevice ? [...Object.keys(graph.outputs).filter(isPlaced), ...held] : []
    const session = yield* openSession(graph, model, arena, resident)
    const space = newSpace()
    yield* client.ask(graph.name, { _tag: "Put", space, tensors: operands })
    session.uses++
    const specs = mapTensors(graph.outputs, ({ shape, dtype }) => ({ shape, dtype }))
    const int8 = target.precision === "int8" ? int8Weights(graph) : []
    return { session, space, specs, needs: needsOf(graph, specs, target), int8 }
  })

  const letGo = (command: Command) => Effect.ignore(client.ask("onnx executor", command))

  const release = Effect.fnUntraced(function* ({ session, space }: CompiledSession) {
    yield* letGo({ _tag: "Drop", space })
    if (--session.uses > 0) return
    open.delete(session.digest)
    yield* letGo({ _tag: "Release", session: session.number })
  })

  return Effect.map(makeCompileCache(release), ({ get }) => ({
    get: (program, key, graph, held = []) =>
      get(program, onDevice ? [key, ...held].join(" ") : key, (first) => compile(graph, first, held))
  }))
}
