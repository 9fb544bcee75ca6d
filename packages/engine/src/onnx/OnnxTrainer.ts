/**
 * Training in the session worker. A step is: forward and backward; a check that everything is finite; then, and only then, the
 * twin and the weights with their moments, in place. The twin of step n is computed twice, once inside the forward graph and once over
 * itself, so that a refused step leaves it as it was without a second copy.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { adamWScalars } from "../AdamW.ts"
import type { EngineError } from "../EngineError.ts"
import { checkEnqueue, checkTensors } from "../CheckTensors.ts"
import { mapTensors, namesUnder, numberOf, prefixed, shapeKey, specsOf, under, zeros } from "../HostTensors.ts"
import type {
  Gradients,
  HostTensor,
  HostTensors,
  MicroBatches,
  Optimizer,
  StepResult,
  Trainer,
  TrainingProgram,
  TrainingSnapshot,
  TrainingStart
} from "../Program.ts"
import { assertFiniteStep, checkStart } from "../TrainingChecks.ts"
import type { StepNumbers } from "../TrainingChecks.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { cachedPasses } from "./CachedPasses.ts"
import { followGraph, leanStepGraph, updateGraph } from "./Compile.ts"
import { makeSessionCache } from "./SessionCache.ts"
import { ask, read } from "./WorkerTraining.ts"
import type { TrainedModel, Training } from "./WorkerTraining.ts"
import { groupOptimizer, groupSpecs, pieceLength, weightGroups } from "./WeightGroups.ts"
import type { WeightGroup } from "./WeightGroups.ts"

interface Pass extends StepNumbers {
  readonly outputs: HostTensors
  /** The weights whose gradients it has left in the worker. */
  readonly trained: ReadonlyArray<string>
}

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
    // A step that has begun ends: interrupted halfway, it would have moved the twin and not the weights.
    const exclusive = <A>(effect: Effect.Effect<A, EngineError>) =>
      model.lock.withPermits(1)(Effect.uninterruptible(effect))
    yield* exclusive(place(training, start))
    // Micro-batches may take minutes, and until the last one nothing has moved: only the update has to end.
    const cached = <E>(batch: MicroBatches<E>) => cachedForwardBackward(training, batch)
    return {
      step: (inputs, learning_rate) =>
        exclusive(
          Effect.flatMap(forwardBackward(training, inputs), (pass) => finishStep(training, pass, learning_rate))
        ),
      cachedStep: (batch, learning_rate) =>
        model.lock.withPermits(1)(
          Effect.flatMap(cached(batch), (pass) => Effect.uninterruptible(finishStep(training, pass, learning_rate)))
        ),
      gradients: (inputs) =>
        exclusive(Effect.flatMap(forwardBackward(training, inputs), (pass) => gradients(training, pass))),
      cachedGradients: (batch) =>
        model.lock.withPermits(1)(Effect.flatMap(cached(batch), (pass) => gradients(training, pass))),
      enqueue: (state, at, rows) => exclusive(enqueue(training, state, at, rows)),
      snapshot: exclusive(snapshot(training))
    }
  })

const place = (training: Training, start: TrainingStart) =>
  Effect.gen(function* () {
    const { own, ownSpace, program } = training
    const put = (space: number, prefix: string, tensors: HostTensors) =>
      ask(training, { _tag: "Put", space, tensors: prefixed(prefix, tensors) })
    const clear = (prefix: string) =>
      ask(training, { _tag: "Zeros", space: ownSpace, specs: prefixed(prefix, own.weights) })
    yield* clear("g:")
    if (start._tag === "Resumed") {
      yield* put(training.space, "w:", start.snapshot.weights)
      training.packed.as = undefined
      yield* put(ownSpace, "m:", start.snapshot.exp_avg)
      yield* put(ownSpace, "v:", start.snapshot.exp_avg_sq)
    } else {
      yield* clear("m:")
      yield* clear("v:")
    }
    const { twin, state } = start._tag === "Resumed" ? start.snapshot : start
    yield* put(ownSpace, "t:", twin ?? (yield* read(training, training.space, "w:", program.twin)))
    yield* put(ownSpace, "s:", state)
    const ema = start._tag === "Resumed" ? start.snapshot.ema : undefined
    yield* put(ownSpace, "n:", ema ?? (yield* read(training, training.space, "w:", Object.keys(own.ema))))
  })

const momentumOf = ({ optimizer }: Training) => optimizer.momentum ?? 1

/** Forward and backward; the gradients stay in the worker. */
const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<Pass, EngineError> =>
  Effect.gen(function* () {
    const { program, cache, own, ownSpace, space } = training
    yield* checkTensors(program.name, "input", inputs)
    const { session, outputs } = yield* cache.get(program, shapeKey(inputs), () =>
      leanStepGraph(program, own, specsOf(inputs), momentumOf(training))
    )
    const spaces = [ownSpace, space]
    const results = yield* ask(training, { _tag: "Run", session, spaces, inputs: prefixed("x:", inputs) })
    return {
      trained: namesUnder("g:", outputs),
      losses: mapTensors(under("l:", results), numberOf),
      total: numberOf(results.total),
      grad_norm: numberOf(results.grad_norm),
      outputs: under("y:", results)
    }
  })

const cachedForwardBackward = <E>(training: Training, batch: MicroBatches<E>): Effect.Effect<Pass, EngineError | E> =>
  Effect.gen(function* () {
    const { passes, trained } = cachedPasses(training, yield* cachedProgram(training.program))
    const pass = yield* cachedPass(passes, batch)
    return { ...pass, trained: training.program.weights.filter((name) => trained.has(name)) }
  })

const finishStep = (training: Training, pass: Pass, learning_rate: number): Effect.Effect<StepResult, EngineError> =>
  Effect.gen(function* () {
    const gradients = ask(training, { _tag: "Read", space: training.ownSpace, prefix: "g:" })
    yield* assertFiniteStep(training.program.name, training.step + 1, pass, gradients)
    yield* update(training, pass, learning_rate)
    training.step += 1
    return { losses: pass.losses, total: pass.total, grad_norm: pass.grad_norm, outputs: pass.outputs }
  })

/** Moves the tensors of each group together, unless they are already since the last step. */
const pack = (training: Training, groups: ReadonlyArray<WeightGroup>, key: string) =>
  Effect.gen(function* () {
    const { space, ownSpace, groupSpace, packed, optimizer } = training
    const wanted = `${groupSpace} ${key}`
    if (packed.as === wanted) return
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
  })

/** Twin first: it follows the weights as they were in the forward pass. */
const update = (training: Training, { trained, grad_norm }: Pass, learning_rate: number) =>
  Effect.gen(function* () {
    const { program, optimizer, own, cache, step, groupSpace } = training
    const groups = weightGroups(own, optimizer, trained)
    const key = trained.join()
    yield* pack(training, groups, key)
    const runOn = (session: number, inputs: HostTensors) =>
      ask(training, { _tag: "Run", session, spaces: [groupSpace], inputs })
    const followed = groupSpecs(groups, ({ twin }) => twin)
    if (Object.keys(followed).length > 0) {
      const twin = yield* cache.get(followGraph, `t: ${key}`, () =>
        followGraph(program.name, "t:", followed, momentumOf(training))
      )
      yield* runOn(twin.session, {})
    }
    const moved = groupSpecs(groups, ({ trained }) => trained)
    if (Object.keys(moved).length === 0) return
    const adam = yield* cache.get(updateGraph, key, () =>
      updateGraph(program.name, moved, groupOptimizer(groups, optimizer))
    )
    const scalars = adamWScalars(optimizer, learning_rate, step + 1, grad_norm)
    const tensors = mapTensors({ ...scalars }, (value): HostTensor => ({
      shape: [],
      dtype: "float32",
      data: Float32Array.of(value)
    }))
    yield* runOn(adam.session, prefixed("h:", tensors))
    const { ema } = optimizer
    if (ema === undefined) return
    const average = yield* cache.get(followGraph, `n: ${key}`, () => followGraph(program.name, "n:", moved, ema))
    yield* runOn(average.session, {})
  })

const gradients = (training: Training, { losses, outputs, trained }: Pass): Effect.Effect<Gradients, EngineError> =>
  Effect.map(read(training, training.ownSpace, "g:", trained), (known) => ({
    losses,
    outputs,
    gradients: { ...zeros(training.own.weights), ...known }
  }))

const enqueue = (training: Training, state: string, at: number, rows: HostTensor) =>
  Effect.andThen(
    checkEnqueue(training.program, state, at, rows),
    ask(training, { _tag: "Write", space: training.ownSpace, name: `s:${state}`, row: at, rows })
  )

const snapshot = (training: Training): Effect.Effect<TrainingSnapshot, EngineError> =>
  Effect.gen(function* () {
    const { program, ownSpace, step } = training
    const weights = yield* read(training, training.space, "w:", program.weights)
    const exp_avg = yield* read(training, ownSpace, "m:", program.weights)
    const exp_avg_sq = yield* read(training, ownSpace, "v:", program.weights)
    const twin = yield* read(training, ownSpace, "t:", program.twin)
    const state = yield* read(training, ownSpace, "s:", Object.keys(program.state))
    const ema = yield* read(training, ownSpace, "n:", Object.keys(training.own.ema))
    return { step, weights, exp_avg, exp_avg_sq, twin, state, ema }
  })
