/**
 * Updates on a device, where every result is a new tensor: weights and moments before and after a step are there at the same time. So the weights
 * move some at a time.
 */
import * as Effect from "effect/Effect"
import { followGraph, updateGraph } from "../Compile.ts"
import type { EngineError } from "../EngineError.ts"
import { sizeOf } from "../Graph.ts"
import type { HostTensors, Specs } from "../Program.ts"
import type { Graph } from "../Graph.ts"
import { runOf } from "./SessionCache.ts"
import { ask, momentumOf } from "./WorkerTraining.ts"
import type { Training, Updates } from "./WorkerTraining.ts"

/** Elements of the weights that move together, unless one alone has more. */
const most = 1 << 24

function portions(specs: Specs): ReadonlyArray<Specs> {
  const all: Array<Record<string, Specs[string]>> = []
  let size = Infinity
  for (const [name, spec] of Object.entries(specs)) {
    size += sizeOf(spec.shape)
    if (size > most) {
      all.push({})
      size = sizeOf(spec.shape)
    }
    all.at(-1)![name] = spec
  }
  return all
}

export const deviceUpdates: Updates = {
  prepare: () => Effect.void,
  update: Effect.fnUntraced(function* (training, trained, scalars) {
    const { program, optimizer, own } = training
    const moved = Object.fromEntries(trained.map((name) => [name, own.weights[name]!]))
    const { ema } = optimizer
    yield* inPortions(training, followGraph, "t:", own.twin, (specs) =>
      followGraph(program.name, "t:", specs, momentumOf(training))
    )
    yield* inPortions(training, updateGraph, "", moved, (specs) => updateGraph(program.name, specs, optimizer), scalars)
    if (ema !== undefined)
      yield* inPortions(training, followGraph, "n:", moved, (specs) => followGraph(program.name, "n:", specs, ema))
  })
}

const inPortions = (
  training: Training,
  kind: object,
  copies: string,
  all: Specs,
  graph: (specs: Specs) => Graph,
  inputs: HostTensors = {}
): Effect.Effect<void, EngineError> =>
  Effect.forEach(
    portions(all),
    (specs) =>
      Effect.flatMap(
        training.cache.get(kind, `${copies} ${Object.keys(specs).join()}`, () => graph(specs)),
        (compiled) => ask(training, runOf(compiled, [training.ownSpace, training.space], inputs))
      ),
    { discard: true }
  )
