/**
 * Training in TensorFlow's worker. A step is: forward and backward; a check that everything is finite; then, and only then, twin, weights, moments
 * and average, in place. All of them are variables of the model for the inputs' shape; they move on when the next step's shape is another.
 */
import { Effect } from "effect"
import type { Scope } from "effect"
import { adamWScalars } from "../AdamW.ts"
import type { EngineError } from "../EngineError.ts"
import { checkEnqueue, checkTensors } from "../CheckTensors.ts"
import { makeCompileCache } from "../CompileCache.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { mapTensors, namesUnder, numberOf, prefixed, shapeKey, specsOf, under, zeros } from "../HostTensors.ts"
import { stepGraph } from "../onnx/Compile.ts"
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
import { cachedPasses } from "./CachedPasses.ts"
import { ask, load, read, release, runEntry } from "./Training.ts"
import type { Loaded, TrainedModel, Training } from "./Training.ts"
import { trainingModel } from "./TrainingModel.ts"

interface Pass extends StepNumbers {
  readonly outputs: HostTensors
  /** The weights whose gradients it has left in the worker. */
  readonly trained: ReadonlyArray<string>
  /** The model whose entry `update` takes them. */
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
    // A step that has begun ends: interrupted halfway, it would have moved some tensors and not the others.
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
    const { own, ownSpace, space, program } = training
    const put = (into: number, prefix: string, tensors: HostTensors) =>
      ask(training, { _tag: "Put", space: into, tensors: prefixed(prefix, tensors) })
    if (start._tag === "Resumed") {
      yield* put(space, "w:", start.snapshot.weights)
      yield* put(ownSpace, "m:", start.snapshot.exp_avg)
      yield* put(ownSpace, "v:", start.snapshot.exp_avg_sq)
    } else {
      const moments = { ...prefixed("m:", own.weights), ...prefixed("v:", own.weights) }
      yield* ask(training, { _tag: "Zeros", space: ownSpace, specs: moments })
    }
    const { twin, state } = start._tag === "Resumed" ? start.snapshot : start
    yield* put(ownSpace, "t:", twin ?? (yield* read(training, space, "w:", program.twin)))
    yield* put(ownSpace, "s:", state)
    const ema = start._tag === "Resumed" ? start.snapshot.ema : undefined
    yield* put(ownSpace, "n:", ema ?? (yield* read(training, space, "w:", Object.keys(own.ema))))
  })

/** Forward and backward; the gradients stay in the worker. */
const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<Pass, EngineError> =>
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
    return {
      loaded,
      trained: namesUnder("g:", loaded.entries.step!.assigned),
      losses: mapTensors(under("l:", results), numberOf),
      total: numberOf(results.total),
      grad_norm: numberOf(results.grad_norm),
      outputs: under("y:", results)
    }
  })

const cachedForwardBackward = <E>(training: Training, batch: MicroBatches<E>): Effect.Effect<Pass, EngineError | E> =>
  Effect.gen(function* () {
    const { program, cache, client, own, optimizer, precision } = training
    const { passes, trained: found } = cachedPasses(training, yield* cachedProgram(program))
    const pass = yield* cachedPass(passes, batch)
    const trained = program.weights.filter((name) => found.has(name))
    const loaded = yield* cache.get(trainingModel, trained.join(), () =>
      load(client, program.name, () => trainingModel({ own, optimizer, trained }, precision))
    )
    return { ...pass, trained, loaded }
  })

const finishStep = (training: Training, pass: Pass, learning_rate: number): Effect.Effect<StepResult, EngineError> =>
  Effect.gen(function* () {
    const { program, optimizer, ownSpace } = training
    const step = training.step + 1
    const found = ask(training, { _tag: "Read", space: ownSpace, prefix: "g:" })
    yield* assertFiniteStep(program.name, step, pass, found)
    const scalars = mapTensors(
      { ...adamWScalars(optimizer, learning_rate, step, pass.grad_norm) },
      (value): HostTensor => ({ shape: [], dtype: "float32", data: Float32Array.of(value) })
    )
    yield* runEntry(training, pass.loaded, "update", prefixed("h:", scalars))
    training.step = step
    return { losses: pass.losses, total: pass.total, grad_norm: pass.grad_norm, outputs: pass.outputs }
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
    const { program, space, ownSpace, step } = training
    const weights = yield* read(training, space, "w:", program.weights)
    const exp_avg = yield* read(training, ownSpace, "m:", program.weights)
    const exp_avg_sq = yield* read(training, ownSpace, "v:", program.weights)
    const twin = yield* read(training, ownSpace, "t:", program.twin)
    const state = yield* read(training, ownSpace, "s:", Object.keys(program.state))
    const ema = yield* read(training, ownSpace, "n:", Object.keys(training.own.ema))
    return { step, weights, exp_avg, exp_avg_sq, twin, state, ema }
  })
