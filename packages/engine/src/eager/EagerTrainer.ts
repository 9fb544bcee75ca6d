/** Training on a tfjs backend: the same step as the captured one, with all tensors on the host between its parts. */
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { adamW, adamWScalars } from "../AdamW.ts"
import { checkEnqueue, checkTensors, pick } from "../CheckTensors.ts"
import type { EngineError } from "../EngineError.ts"
import { mapTensors, prefixed, specsOf, under, zeros } from "../HostTensors.ts"
import type {
  HostTensor,
  HostTensors,
  MicroBatches,
  Optimizer,
  Tensors,
  Trainer,
  TrainingProgram,
  TrainingStart
} from "../Program.ts"
import { assertFiniteStep, checkStart } from "../TrainingChecks.ts"
import type { StepNumbers } from "../TrainingChecks.ts"
import { cachedPass, cachedProgram } from "../GradientCaching.ts"
import { differentiate, momentumTwin, stepResults } from "../TrainingStep.ts"
import { cachedPasses } from "./CachedPasses.ts"
import { evaluate, toTensors } from "./Evaluate.ts"

type Mutable = Record<string, HostTensor>

interface Training {
  readonly backend: string
  readonly program: TrainingProgram
  readonly optimizer: Optimizer
  /** The model's, shared with its other programs. */
  readonly weights: Mutable
  readonly exp_avg: Mutable
  readonly exp_avg_sq: Mutable
  readonly twin: Mutable
  readonly state: Mutable
  readonly ema: Mutable
  step: number
}

interface Pass extends StepNumbers {
  readonly outputs: HostTensors
  readonly gradients: HostTensors
}

const copied = (tensors: HostTensors): Mutable =>
  mapTensors(tensors, (tensor) => ({ ...tensor, data: tensor.data.slice() }))

export const trainEager = (
  backend: string,
  weights: Mutable,
  program: TrainingProgram,
  optimizer: Optimizer,
  start: TrainingStart
): Effect.Effect<Trainer, EngineError> =>
  Effect.gen(function* () {
    const own = yield* checkStart(program, optimizer, start, specsOf(weights))
    const resumed = start._tag === "Resumed" ? start.snapshot : undefined
    if (resumed !== undefined) Object.assign(weights, copied(resumed.weights))
    const training: Training = {
      backend,
      program,
      optimizer,
      weights,
      exp_avg: copied(resumed?.exp_avg ?? zeros(own.weights)),
      exp_avg_sq: copied(resumed?.exp_avg_sq ?? zeros(own.weights)),
      twin: copied(
        (start._tag === "Resumed" ? start.snapshot.twin : start.twin) ??
          (yield* pick(program.name, weights, program.twin))
      ),
      state: copied(start._tag === "Resumed" ? start.snapshot.state : start.state),
      ema: copied(resumed?.ema ?? (yield* pick(program.name, weights, Object.keys(own.ema)))),
      step: resumed?.step ?? 0
    }
    const whole = (inputs: HostTensors) => forwardBackward(training, inputs)
    const cached = <E>(batch: MicroBatches<E>) => cachedForwardBackward(training, batch)
    const gradients = ({ losses, outputs, gradients }: Pass) => ({
      losses,
      outputs,
      gradients: { ...zeros(own.weights), ...gradients }
    })
    return {
      step: (inputs, learning_rate) =>
        Effect.flatMap(whole(inputs), (pass) => finishStep(training, pass, learning_rate)),
      cachedStep: (batch, learning_rate) =>
        Effect.flatMap(cached(batch), (pass) => finishStep(training, pass, learning_rate)),
      gradients: (inputs) => Effect.map(whole(inputs), gradients),
      cachedGradients: (batch) => Effect.map(cached(batch), gradients),
      enqueue: (state, at, rows) =>
        Effect.map(checkEnqueue(program, state, at, rows), () => {
          const array = training.state[state]!
          array.data.set(rows.data, at * (array.data.length / array.shape[0]!))
        }),
      snapshot: Effect.sync(() => ({
        step: training.step,
        weights: copied(trained(training)),
        exp_avg: copied(training.exp_avg),
        exp_avg_sq: copied(training.exp_avg_sq),
        twin: copied(training.twin),
        state: copied(training.state),
        ema: copied(training.ema)
      }))
    }
  })

const trained = ({ program, weights }: Training): HostTensors =>
  Object.fromEntries(program.weights.map((name) => [name, weights[name]!]))

/** The program's weights as tensors, and those of them that are trained. */
const weightTensors = (training: Training) => {
  const own = toTensors(trained(training))
  const frozen = training.program.frozen ?? []
  return {
    own,
    all: { ...own, ...toTensors(Object.fromEntries(frozen.map((name) => [name, training.weights[name]!]))) }
  }
}

const nextTwin = ({ twin, optimizer }: Training, now: Tensors): Tensors =>
  momentumTwin(toTensors(twin), now, optimizer.momentum ?? 1)

/** Of the weights that have moved. */
const nextAverage = ({ ema, optimizer }: Training, moved: Tensors): Tensors =>
  optimizer.ema === undefined
    ? {}
    : momentumTwin(
        mapTensors(moved, (_, name) => toTensors({ [name]: ema[name]! })[name]!),
        moved,
        optimizer.ema
      )

const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<Pass, EngineError> =>
  Effect.gen(function* () {
    const { program, backend } = training
    yield* checkTensors(program.name, "input", inputs)
    const results = yield* evaluate(program.name, backend, () => {
      const { own, all: weights } = weightTensors(training)
      const twin = nextTwin(training, weights)
      const result = differentiate(program.name, own, () =>
        program.run({ weights, twin, state: toTensors(training.state), inputs: toTensors(inputs) })
      )
      return stepResults(result)
    })
    return {
      losses: mapTensors(under("l:", results), ({ data }) => data[0]!),
      total: results.total!.data[0]!,
      grad_norm: results.grad_norm!.data[0]!,
      outputs: under("y:", results),
      gradients: under("g:", results)
    }
  })

const cachedForwardBackward = <E>(training: Training, batch: MicroBatches<E>): Effect.Effect<Pass, EngineError | E> =>
  Effect.gen(function* () {
    const program = yield* cachedProgram(training.program)
    const { passes, gradients } = cachedPasses(training.backend, program, () => weightTensors(training))
    const pass = yield* cachedPass(passes, batch)
    return { ...pass, gradients }
  })

const finishStep = (training: Training, pass: Pass, learning_rate: number) =>
  Effect.gen(function* () {
    const { program, backend, optimizer } = training
    yield* assertFiniteStep(program.name, training.step + 1, pass, Effect.succeed(pass.gradients))
    const names = Object.keys(pass.gradients)
    const scalars = adamWScalars(optimizer, learning_rate, training.step + 1, pass.grad_norm)
    const updated = yield* evaluate(program.name, backend, () => {
      const weights = toTensors(trained(training))
      const [m, v, g] = [toTensors(training.exp_avg), toTensors(training.exp_avg_sq), toTensors(pass.gradients)]
      const step = mapTensors({ ...scalars }, (value) => tf.scalar(value)) as never
      const moved = names.map(
        (name) =>
          [
            name,
            adamW(name, { weight: weights[name]!, exp_avg: m[name]!, exp_avg_sq: v[name]! }, g[name]!, step, optimizer)
          ] as const
      )
      const part = (key: "weight" | "exp_avg" | "exp_avg_sq") =>
        Object.fromEntries(moved.map(([name, state]) => [name, state[key]]))
      return {
        ...prefixed("t:", nextTwin(training, weights)),
        ...prefixed("w:", part("weight")),
        ...prefixed("m:", part("exp_avg")),
        ...prefixed("v:", part("exp_avg_sq")),
        ...prefixed("n:", nextAverage(training, part("weight")))
      }
    })
    Object.assign(training.twin, under("t:", updated))
    Object.assign(training.weights, under("w:", updated))
    Object.assign(training.exp_avg, under("m:", updated))
    Object.assign(training.exp_avg_sq, under("v:", updated))
    Object.assign(training.ema, under("n:", updated))
    training.step += 1
    return { losses: pass.losses, total: pass.total, grad_norm: pass.grad_norm, outputs: pass.outputs }
  })
