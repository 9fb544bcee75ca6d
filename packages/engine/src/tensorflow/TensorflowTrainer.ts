/**
 * Training in TensorFlow's worker. A step is: forward and backward; a check that everything is finite; then, and only then, twin, weights, moments
 * and average, in place. All of them are variables of the model for the inputs' shape; they move on when the next step's shape is another.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { checkTensors } from "../CheckTensors.ts"
import { stepGraph } from "../Compile.ts"
import { makeCompileCache } from "../CompileCache.ts"
import type { EngineError } from "../EngineError.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { namesUnder, prefixed, shapeKey, specsOf } from "../HostTensors.ts"
import type { HostTensors, MicroBatches, Optimizer, Trainer, TrainingProgram, TrainingStart } from "../Program.ts"
import { checkStart } from "../TrainingChecks.ts"
import { workerPasses } from "../WorkerPasses.ts"
import type { PassRunner } from "../WorkerPasses.ts"
import { passOf, workerTrainer } from "../WorkerTrainer.ts"
import type { Pass } from "../WorkerTrainer.ts"
import { ask, graphModel, load, release, runEntry } from "./Training.ts"
import type { Loaded, TrainedModel, Training } from "./Training.ts"
import { trainingModel } from "./TrainingModel.ts"

/** With the model whose entry `update` takes the gradients. */
interface LoadedPass extends Pass {
  readonly loaded: Loaded
}

export const trainTensorflow = (
  model: TrainedModel,
  ownSpace: number,
  program: TrainingProgram,
  optimizer: Optimizer,
  start: TrainingStart
): Effect.Effect<Trainer, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* checkStart(program, optimizer, start, model.specs)
    const cache = yield* makeCompileCache<Loaded>((loaded) => release(model.client, loaded))
    const step = start._tag === "Resumed" ? start.snapshot.step : 0
    const training: Training = { ...model, program, optimizer, own, ownSpace, cache, step }
    yield* Effect.addFinalizer(() => Effect.ignore(ask(training, { _tag: "Drop", space: ownSpace })))
    return yield* workerTrainer<LoadedPass>(training, start, {
      begin: Effect.void,
      forwardBackward: (inputs) => forwardBackward(training, inputs),
      cachedForwardBackward: (batch) => cachedForwardBackward(training, batch),
      update: ({ loaded }, scalars) => runEntry(training, loaded, "update", scalars)
    })
  })

/** Forward and backward; the gradients stay in the worker. */
const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<LoadedPass, EngineError> =>
  Effect.gen(function* () {
    const { program, cache, client, own, optimizer, precision } = training
    yield* checkTensors(program.name, "input", inputs)
    const loaded = yield* cache.get(program, shapeKey(inputs), () =>
      load(client, program.name, () => {
        const graph = stepGraph(program, own, specsOf(inputs), optimizer.momentum ?? 1)
        const trained = namesUnder("g:", Object.keys(graph.outputs))
        return trainingModel({ own, optimizer, trained, graph }, precision)
      })
    )
    const results = yield* runEntry(training, loaded, "step", prefixed("x:", inputs))
    return { ...passOf(results, namesUnder("g:", loaded.entries.step!.assigned)), loaded }
  })

const passRunner = (training: Training): PassRunner => {
  const { cache, client, own, ownSpace, precision, program } = training
  return {
    run: Effect.fnUntraced(function* (pass, key, graph, inputs) {
      const loaded = yield* cache.get(pass, key, () => load(client, program.name, () => graphModel(graph(), precision)))
      const results = yield* runEntry(training, loaded, "run", inputs)
      return { outputs: Object.keys(loaded.entries.run!.fetches), results }
    }),
    backward: (graph) => graph,
    clear: ask(training, { _tag: "Zeros", space: ownSpace, specs: prefixed("g:", own.weights) })
  }
}

const cachedForwardBackward = <E>(
  training: Training,
  batch: MicroBatches<E>
): Effect.Effect<LoadedPass, EngineError | E> =>
  Effect.gen(function* () {
    const { cache, client, own, optimizer, precision } = training
    const program = yield* cachedProgram(training.program)
    const { passes, trained: found } = workerPasses(training, program, passRunner(training))
    const pass = yield* cachedPass(passes, batch)
    const trained = program.weights.filter((name) => found.has(name))
    const loaded = yield* cache.get(trainingModel, trained.join(), () =>
      load(client, program.name, () => trainingModel({ own, optimizer, trained }, precision))
    )
    return { ...pass, trained, loaded }
  })
