/** What a training may start from, and what a step may go on with. */
import * as Effect from "effect/Effect"
import { EngineError } from "./EngineError.ts"
import { checkAgainst, pick } from "./CheckTensors.ts"
import { firstNonFinite } from "./HostTensors.ts"
import type { HostTensors, Optimizer, Specs, TrainingProgram, TrainingStart } from "./Program.ts"

/** What a training owns, by shape. */
export interface TrainingSpecs {
  /** Those that are trained. */
  readonly weights: Specs
  readonly frozen: Specs
  readonly twin: Specs
  /** Those whose average is kept. */
  readonly ema: Specs
  readonly state: Specs
}

/**
 * The specs of the program's weights, twin and state.
 *
 * Fails with InvalidProgram on names the model doesn't hold and on a twin without momentum, ShapeMismatch on tensors that don't fit.
 */
export const checkStart = (
  program: TrainingProgram,
  optimizer: Optimizer,
  start: TrainingStart,
  model: Specs
): Effect.Effect<TrainingSpecs, EngineError> =>
  Effect.gen(function* () {
    const { name } = program
    const invalid = (detail: string) => new EngineError({ reason: "InvalidProgram", program: name, detail })
    const weights = yield* pick(name, model, program.weights)
    const frozen = yield* pick(name, model, program.frozen ?? [])
    const both = program.weights.find((one) => frozen[one] !== undefined)
    if (both !== undefined) return yield* invalid(`the weight ${both} can't be trained and frozen`)
    const twin = yield* pick(name, model, program.twin)
    const ema = optimizer.ema === undefined ? {} : weights
    const untrained = program.twin.find((one) => weights[one] === undefined)
    if (untrained !== undefined) return yield* invalid(`the twin of ${untrained} has no trained weight to follow`)
    if (program.twin.length > 0 && optimizer.momentum === undefined) {
      return yield* invalid("the program has a twin, but the optimizer gives no momentum")
    }
    if (start._tag === "Fresh") {
      if (start.twin !== undefined) yield* checkAgainst(name, "twin of", twin, start.twin)
      yield* checkAgainst(name, "state", program.state, start.state)
    } else {
      const { snapshot } = start
      yield* checkAgainst(name, "weight", weights, snapshot.weights)
      yield* checkAgainst(name, "exp_avg of", weights, snapshot.exp_avg)
      yield* checkAgainst(name, "exp_avg_sq of", weights, snapshot.exp_avg_sq)
      yield* checkAgainst(name, "twin of", twin, snapshot.twin)
      yield* checkAgainst(name, "state", program.state, snapshot.state)
      yield* checkAgainst(name, "average of", ema, snapshot.ema)
    }
    return { weights, frozen, twin, ema, state: program.state }
  })

export interface StepNumbers {
  readonly losses: Readonly<Record<string, number>>
  readonly total: number
  /** Global L2 norm. */
  readonly grad_norm: number
}

/** Refuses a step whose losses or gradients aren't finite; `gradients` are only read to name the culprit. */
export const assertFiniteStep = (
  program: string,
  step: number,
  { losses, total, grad_norm }: StepNumbers,
  gradients: Effect.Effect<HostTensors, EngineError>
): Effect.Effect<void, EngineError> =>
  Effect.gen(function* () {
    const refuse = (detail: string) =>
      new EngineError({ reason: "NonFinite", program, detail: `step ${step}: ${detail}; nothing was updated` })
    const loss = Object.entries(losses).find(([, value]) => !Number.isFinite(value))
    if (loss !== undefined) return yield* refuse(`the loss ${loss[0]} is ${loss[1]}`)
    if (!Number.isFinite(total)) return yield* refuse(`the sum of the losses is ${total}`)
    if (Number.isFinite(grad_norm)) return
    const culprit = firstNonFinite(yield* gradients)
    return yield* refuse(
      culprit === undefined ? `the norm of the gradients is ${grad_norm}` : `the gradient of ${culprit}`
    )
  })
