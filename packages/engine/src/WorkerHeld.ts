/** Tensors held in a worker that owns tensors: a space of their own, whose names are those of a program's inputs. */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import type { EngineError } from "./EngineError.ts"
import { mapTensors, prefixed } from "./HostTensors.ts"
import type { HeldTensors, HostTensors, Keeping, Program, TensorSpec } from "./Program.ts"
import type { HeldCommand, Holding } from "./WorkerProtocol.ts"

interface HoldingClient {
  readonly ask: (program: string, command: HeldCommand) => Effect.Effect<HostTensors, EngineError>
}

export interface Held {
  readonly space: number
  /** What the worker holds there. */
  readonly specs: Record<string, TensorSpec>
}

export const holdingOf = ({ space }: Held, { keep = [], write }: Keeping): Holding => ({
  space,
  keep: Object.fromEntries(keep.map((name) => [`y:${name}`, `x:${name}`])),
  write: Object.fromEntries(Object.entries(write?.into ?? {}).map(([name, into]) => [`y:${name}`, `x:${into}`])),
  places: write?.places ?? new Int32Array()
})

type RunHeld = (
  program: Program,
  inputs: HostTensors,
  held: Held,
  keeping: Keeping | undefined
) => Effect.Effect<HostTensors, EngineError>

export const holdInWorker = (
  client: HoldingClient,
  space: number,
  run: RunHeld
): Effect.Effect<HeldTensors, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const held: Held = { space, specs: {} }
    yield* client.ask("hold", { _tag: "Zeros", space, specs: {} })
    yield* Effect.addFinalizer(() => Effect.ignore(client.ask("hold", { _tag: "Drop", space })))
    return {
      run: (program, inputs, keeping) => run(program, inputs, held, keeping),
      zeros: (specs) =>
        Effect.map(client.ask("hold", { _tag: "Zeros", space, specs: prefixed("x:", specs) }), () => {
          Object.assign(held.specs, specs)
        }),
      take: (rows) =>
        Effect.map(client.ask("hold", { _tag: "Take", space, rows }), () => {
          const cut = ({ shape, dtype }: TensorSpec) => ({ dtype, shape: [rows.length, ...shape.slice(1)] })
          Object.assign(held.specs, mapTensors(held.specs, cut))
        })
    }
  })
