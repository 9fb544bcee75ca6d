/**
 * Training in the session worker. A step is: forward and backward; a check that everything is finite; then, and only then, the
 * twin and the weights with their moments, in place. The twin of step n is computed twice, once inside the forward graph and once over
 * itself, so that a refused step leaves it as it was without a second copy.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import { checkTensors } from "../CheckTensors.ts"
import { followGraph, leanGraph, leanStepGraph, updateGraph } from "../Compile.ts"
import type { EngineError } from "../EngineError.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { namesUnder, prefixed, shapeKey, specsOf } from "../HostTensors.ts"
import type { HostTensors, MicroBatches, Optimizer, Trainer, TrainingProgram, TrainingStart } from "../Program.ts"
import { checkStart } from "../TrainingChecks.ts"
import { workerPasses } from "../WorkerPasses.ts"
import type { PassRunner } from "../WorkerPasses.ts"
import { passOf, workerTrainer } from "../WorkerTrainer.ts"
import type { Pass } from "../WorkerTrainer.ts"
import { makeSessionCache, runOf } from "./SessionCache.ts"
import type { CompiledSession } from "./SessionCache.ts"
import { ask } from "./WorkerTraining.ts"
import type { TrainedModel, Training } from "./WorkerTraining.ts"
import { groupOptimizer, groupSpecs, pieceLength, weightGroups } from "./WeightGroups.ts"
import type { WeightGroup } from "./WeightGroups.ts"

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
    const cache = yield* makeSessionCache(model.client)
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
      update: (pass, scalars) => update(training, pass, scalars)
    })
  })

const momentumOf = ({ optimizer }: Training) => optimizer.momentum ?? 1

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
    // Before the first run, whose memory grows by what packing lets go of.
    yield* pack(training, trained)
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

/** The groups of these weights. Moves the tensors of each together, unless they are already since the last step. */
const pack = (training: Training, trained: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { own, space, ownSpace, groupSpace, packed, optimizer } = training
    const groups = weightGroups(own, optimizer, trained)
    const wanted = `${groupSpace} ${trained.join()}`
    if (packed.as === wanted) return groups
    const piece = pieceLength(groups)
    const named = (chosen: (group: WeightGroup) => boolean) =>
      Object.fromEntries(
        groups.flatMap((group, index) => (chosen(group) ? [[String(index), group.names] as const] : []))
      )
    const move = (from: number, prefix: string, chosen: (group: WeightGroup) => boolean) =>
      ask(training, { _tag: "Pack", space: from, prefix, groups: named(chosen), piece, into: groupSpace })
    yield* move(space, "w:", () => true)
    for (const prefix of ["g:", "m:", "v:"]) yield* move(ownSpace, prefix, ({ trained }) => trained)
    yield* move(ownSpace, "t:", ({ twin }) => twin)
    if (optimizer.ema !== undefined) yield* move(ownSpace, "n:", ({ trained }) => trained)
    packed.as = wanted
    return groups
  })

const update = (training: Training, { trained }: Pass, scalars: HostTensors) =>
  Effect.gen(function* () {
    const { program, optimizer, cache, groupSpace } = training
    const groups = yield* pack(training, trained)
    const key = trained.join()
    const runOn = (compiled: CompiledSession, inputs: HostTensors) =>
      ask(training, runOf(compiled, [groupSpace], inputs))
    const followed = groupSpecs(groups, ({ twin }) => twin)
    if (Object.keys(followed).length > 0) {
      const twin = yield* cache.get(followGraph, `t: ${key}`, () =>
        followGraph(program.name, "t:", followed, momentumOf(training))
      )
      yield* runOn(twin, {})
    }
    const moved = groupSpecs(groups, ({ trained }) => trained)
    if (Object.keys(moved).length === 0) return
    const adam = yield* cache.get(updateGraph, key, () =>
      updateGraph(program.name, moved, groupOptimizer(groups, optimizer))
    )
    yield* runOn(adam, scalars)
    const { ema } = optimizer
    if (ema === undefined) return
    const average = yield* cache.get(followGraph, `n: ${key}`, () => followGraph(program.name, "n:", moved, ema))
    yield* runOn(average, {})
  })
