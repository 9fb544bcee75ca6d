/**
 * Training where a worker owns the tensors: what is the same whatever runs the graphs.
 *
 *   the model's space     w: weights
 *   the training's own    g: gradients   m: v: moments   t: twin   n: average   s: state
 *
 * A step is: forward and backward, which leaves the gradients in the worker; a check that everything is finite; then, and only then, the
 * update, in place.
 */
import * as Effect from "effect/Effect"
import type { Semaphore } from "effect"
import { adamWScalars } from "./AdamW.ts"
import { checkEnqueue, pick } from "./CheckTensors.ts"
import type { EngineError } from "./EngineError.ts"
import { mapTensors, numberOf, prefixed, under, zeros } from "./HostTensors.ts"
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
} from "./Program.ts"
import { assertFiniteStep } from "./TrainingChecks.ts"
import type { StepNumbers, TrainingSpecs } from "./TrainingChecks.ts"
import type { TensorCommand } from "./WorkerProtocol.ts"

/** One training and where its tensors are. */
export interface WorkerTraining {
  readonly client: {
    readonly ask: (program: string, command: TensorCommand) => Effect.Effect<HostTensors, EngineError>
  }
  readonly lock: Semaphore.Semaphore
  readonly program: TrainingProgram
  readonly optimizer: Optimizer
  readonly own: TrainingSpecs
  /** Where the worker keeps the model's weights. */
  readonly space: number
  /** Where it keeps the rest. */
  readonly ownSpace: number
  step: number
}

/** What a forward and backward pass gave. */
export interface Pass extends StepNumbers {
  readonly outputs: HostTensors
  /** The weights whose gradients it has left in the worker. */
  readonly trained: ReadonlyArray<string>
}

/** What an engine does its own way. */
export interface Passes<P extends Pass> {
  /** Before the tensors are placed. */
  readonly begin: Effect.Effect<void, EngineError>
  readonly forwardBackward: (inputs: HostTensors) => Effect.Effect<P, EngineError>
  readonly cachedForwardBackward: <E>(batch: MicroBatches<E>) => Effect.Effect<P, EngineError | E>
  /** Twin first: it follows the weights as they were in the forward pass. Then weights and moments, then the average. */
  readonly update: (pass: P, scalars: HostTensors) => Effect.Effect<void, EngineError>
}

export const read = (
  { client, program }: Pick<WorkerTraining, "client" | "program">,
  space: number,
  prefix: string,
  names: ReadonlyArray<string>
) => Effect.flatMap(client.ask(program.name, { _tag: "Read", space, prefix }), (all) => pick(program.name, all, names))

/** A pass's numbers among what a run of its graph gave. */
export const passOf = (results: HostTensors, trained: ReadonlyArray<string>): Pass => ({
  trained,
  losses: mapTensors(under("l:", results), numberOf),
  total: numberOf(results.total),
  grad_norm: numberOf(results.grad_norm),
  outputs: under("y:", results)
})

export const workerTrainer = <P extends Pass>(
  training: WorkerTraining,
  start: TrainingStart,
  passes: Passes<P>
): Effect.Effect<Trainer, EngineError> =>
  Effect.gen(function* () {
    const { forwardBackward, cachedForwardBackward } = passes
    const locked = training.lock.withPermits(1)
    // A step that has begun ends: interrupted halfway, it would have moved some tensors and not the others.
    const exclusive = <A>(effect: Effect.Effect<A, EngineError>) => locked(Effect.uninterruptible(effect))
    const finish = (learning_rate: number) => (pass: P) => finishStep(training, passes, pass, learning_rate)
    yield* exclusive(Effect.andThen(passes.begin, place(training, start)))
    return {
      step: (inputs, learning_rate) => exclusive(Effect.flatMap(forwardBackward(inputs), finish(learning_rate))),
      // Micro-batches may take minutes, and until the last one nothing has moved: only the update has to end.
      cachedStep: (batch, learning_rate) =>
        locked(
          Effect.flatMap(cachedForwardBackward(batch), (pass) => Effect.uninterruptible(finish(learning_rate)(pass)))
        ),
      gradients: (inputs) => exclusive(Effect.flatMap(forwardBackward(inputs), (pass) => gradients(training, pass))),
      cachedGradients: (batch) =>
        locked(Effect.flatMap(cachedForwardBackward(batch), (pass) => gradients(training, pass))),
      enqueue: (state, at, rows) => exclusive(enqueue(training, state, at, rows)),
      snapshot: exclusive(snapshot(training))
    }
  })

const place = (training: WorkerTraining, start: TrainingStart) =>
  Effect.gen(function* () {
    const { client, own, space, ownSpace, program } = training
    const put = (into: number, prefix: string, tensors: HostTensors) =>
      client.ask(program.name, { _tag: "Put", space: into, tensors: prefixed(prefix, tensors) })
    const copies = (as: string, given: HostTensors | undefined, names: ReadonlyArray<string>) =>
      given === undefined
        ? client.ask(program.name, { _tag: "Copy", space, prefix: "w:", names, into: ownSpace, as })
        : put(ownSpace, as, given)
    if (start._tag === "Resumed") {
      yield* put(space, "w:", start.snapshot.weights)
      yield* put(ownSpace, "m:", start.snapshot.exp_avg)
      yield* put(ownSpace, "v:", start.snapshot.exp_avg_sq)
    } else {
      const moments = { ...prefixed("m:", own.weights), ...prefixed("v:", own.weights) }
      yield* client.ask(program.name, { _tag: "Zeros", space: ownSpace, specs: moments })
    }
    const { twin, state } = start._tag === "Resumed" ? start.snapshot : start
    yield* copies("t:", twin, program.twin)
    yield* put(ownSpace, "s:", state)
    const ema = start._tag === "Resumed" ? start.snapshot.ema : undefined
    yield* copies("n:", ema, Object.keys(own.ema))
  })

const finishStep = <P extends Pass>(
  training: WorkerTraining,
  { update }: Passes<P>,
  pass: P,
  learning_rate: number
): Effect.Effect<StepResult, EngineError> =>
  Effect.gen(function* () {
    const { client, program, optimizer, ownSpace } = training
    const step = training.step + 1
    const found = client.ask(program.name, { _tag: "Read", space: ownSpace, prefix: "g:" })
    yield* assertFiniteStep(program.name, step, pass, found)
    const scalars = mapTensors(
      { ...adamWScalars(optimizer, learning_rate, step, pass.grad_norm) },
      (value): HostTensor => ({ shape: [], dtype: "float32", data: Float32Array.of(value) })
    )
    yield* update(pass, prefixed("h:", scalars))
    training.step = step
    return { losses: pass.losses, total: pass.total, grad_norm: pass.grad_norm, outputs: pass.outputs }
  })

const gradients = (
  training: WorkerTraining,
  { losses, outputs, trained }: Pass
): Effect.Effect<Gradients, EngineError> =>
  Effect.map(read(training, training.ownSpace, "g:", trained), (known) => ({
    losses,
    outputs,
    gradients: { ...zeros(training.own.weights), ...known }
  }))

const enqueue = ({ client, program, ownSpace }: WorkerTraining, state: string, at: number, rows: HostTensor) =>
  Effect.andThen(
    checkEnqueue(program, state, at, rows),
    client.ask(program.name, { _tag: "Write", space: ownSpace, name: `s:${state}`, row: at, rows })
  )

const snapshot = (training: WorkerTraining): Effect.Effect<TrainingSnapshot, EngineError> =>
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
