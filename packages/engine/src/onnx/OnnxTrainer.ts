/**
 * Training in the session worker. A step is: forward and backward; a check that everything is finite; then, and only then, the
 * twin and the weights with their moments, in place. The twin of step n is computed twice, once inside the forward graph and once over
 * itself, so that a refused step leaves it as it was without a second copy.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { checkTensors } from "../CheckTensors.ts"
import { leanGraph, leanStepGraph } from "../Compile.ts"
import type { EngineError } from "../EngineError.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { namesUnder, prefixed, shapeKey, specsOf } from "../HostTensors.ts"
import type { HostTensors, MicroBatches, Optimizer, Trainer, TrainingProgram, TrainingStart } from "../Program.ts"
import { checkStart } from "../TrainingChecks.ts"
import { workerPasses } from "../WorkerPasses.ts"
import type { PassRunner } from "../WorkerPasses.ts"
import { passOf, workerTrainer } from "../WorkerTrainer.ts"
import type { Pass } from "../WorkerTrainer.ts"
import { deviceUpdates } from "./DeviceUpdates.ts"
import { packedUpdates } from "./PackedUpdates.ts"
import { makeSessionCache, runOf } from "./SessionCache.ts"
import type { CompiledSession } from "./SessionCache.ts"
import { ask, momentumOf } from "./WorkerTraining.ts"
import type { TrainedModel, Training } from "./WorkerTraining.ts"

export const trainOnnx = (
  model: TrainedModel,
  ownSpace: number,
  groupSpace: number,
  program: TrainingProgram,
  optimizer: Optimizer,
  start: TrainingStart
): Effect.Effect<Trainer, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const own = yield* checkStart(program, optimizer, start, model.specs)
    const cache = yield* makeSessionCache(model.client, { precision: "fp32", device: model.device })
    const step = start._tag === "Resumed" ? start.snapshot.step : 0
    const training: Training = { ...model, program, optimizer, own, ownSpace, groupSpace, cache, step }
    for (const space of [ownSpace, groupSpace]) {
      yield* Effect.addFinalizer(() => Effect.ignore(ask(training, { _tag: "Drop", space })))
    }
    return yield* workerTrainer<Pass>(training, start, {
      begin: Effect.suspend(() => {
        if (start._tag === "Resumed") training.packed.as = undefined
        return ask(training, { _tag: "Zeros", space: ownSpace, specs: prefixed("g:", own.weights) })
      }),
      forwardBackward: (inputs) => forwardBackward(training, inputs),
      cachedForwardBackward: (batch) => cachedForwardBackward(training, batch),
      update: ({ trained }, scalars) => updatesOf(training).update(training, trained, scalars)
    })
  })

const updatesOf = ({ device }: Training) => (device === "cpu" ? packedUpdates : deviceUpdates)

/** A session's run; the gradients stay in the worker. */
const runSession = (training: Training, compiled: CompiledSession, inputs: HostTensors) =>
  ask(training, runOf(compiled, [training.ownSpace, training.space], inputs))

const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<Pass, EngineError> =>
  Effect.gen(function* () {
    const { program, cache, own } = training
    yield* checkTensors(program.name, "input", inputs)
    const compiled = yield* cache.get(program, shapeKey(inputs), () =>
      leanStepGraph(program, own, specsOf(inputs), momentumOf(training))
    )
    const trained = namesUnder("g:", Object.keys(compiled.specs))
    yield* updatesOf(training).prepare(training, trained)
    const results = yield* runSession(training, compiled, prefixed("x:", inputs))
    return passOf(results, trained)
  })

const passRunner = (training: Training): PassRunner => ({
  run: (pass, key, graph, inputs) =>
    Effect.flatMap(training.cache.get(pass, key, graph), (compiled) =>
      Effect.map(runSession(training, compiled, inputs), (results) => ({
        outputs: Object.keys(compiled.specs),
        results
      }))
    ),
  backward: (graph) => leanGraph(graph, training.program),
  clear: ask(training, { _tag: "Clear", space: training.ownSpace, prefix: "g:" })
})

const cachedForwardBackward = <E>(training: Training, batch: MicroBatches<E>): Effect.Effect<Pass, EngineError | E> =>
  Effect.gen(function* () {
    const program = yield* cachedProgram(training.program)
    const { passes, trained } = workerPasses(training, program, passRunner(training))
    const pass = yield* cachedPass(passes, batch)
    return { ...pass, trained: program.weights.filter((name) => trained.has(name)) }
  })
