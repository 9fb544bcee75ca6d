/** Training on a tfjs backend: the same step as the captured one, with all tensors on the host between its parts. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { adamW, adamWScalars } from "../AdamW.ts"
import { checkEnqueue, checkTensors, pick } from "../CheckTensors.ts"
import type { EngineError } from "../EngineError.ts"
import { mapTensors, prefixed, specsOf, under, zeros } from "../HostTensors.ts"
import type {
  HostTensor,
  HostTensors,
  Optimizer,
  Tensors,
  Trainer,
  TrainingProgram,
  TrainingStart
} from "../Program.ts"
import { assertFiniteStep, checkStart } from "../TrainingChecks.ts"
import type { StepNumbers } from "../TrainingChecks.ts"
import { differentiate, momentumTwin } from "../TrainingStep.ts"
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
      step: resumed?.step ?? 0
    }
    return {
      step: (inputs, learning_rate) => takeStep(training, inputs, learning_rate),
      gradients: (inputs) =>
        Effect.map(forwardBackward(training, inputs), ({ losses, outputs, gradients }) => ({
          losses,
          outputs,
          gradients: { ...zeros(own.weights), ...gradients }
        })),
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
        state: copied(training.state)
      }))
    }
  })

const trained = ({ program, weights }: Training): HostTensors =>
  Object.fromEntries(program.weights.map((name) => [name, weights[name]!]))

const nextTwin = ({ twin, optimizer }: Training, now: Tensors): Tensors =>
  momentumTwin(toTensors(twin), now, optimizer.momentum ?? 1)

const forwardBackward = (training: Training, inputs: HostTensors): Effect.Effect<Pass, EngineError> =>
  Effect.gen(function* () {
    const { program, backend } = training
    yield* checkTensors(program.name, "input", inputs)
    const results = yield* evaluate(program.name, backend, () => {
      const weights = toTensors(trained(training))
      const twin = nextTwin(training, weights)
      const result = differentiate(program, {
        weights,
        twin,
        state: toTensors(training.state),
        inputs: toTensors(inputs)
      })
      return {
        ...prefixed("l:", result.losses),
        total: result.total,
        grad_norm: result.grad_norm,
        ...prefixed("y:", result.outputs),
        ...prefixed("g:", result.gradients)
      }
    })
    return {
      losses: mapTensors(under("l:", results), ({ data }) => data[0]!),
      total: results.total!.data[0]!,
      grad_norm: results.grad_norm!.data[0]!,
      outputs: under("y:", results),
      gradients: under("g:", results)
    }
  })

const takeStep = (training: Training, inputs: HostTensors, learning_rate: number) =>
  Effect.gen(function* () {
    const { program, backend, optimizer } = training
    const pass = yield* forwardBackward(training, inputs)
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
        ...prefixed("v:", part("exp_avg_sq"))
      }
    })
    Object.assign(training.twin, under("t:", updated))
    Object.assign(training.weights, under("w:", updated))
    Object.assign(training.exp_avg, under("m:", updated))
    Object.assign(training.exp_avg_sq, under("v:", updated))
    training.step += 1
    return { losses: pass.losses, total: pass.total, grad_norm: pass.grad_norm, outputs: pass.outputs }
  })
