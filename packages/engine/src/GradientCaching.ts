/**
 * Gradient caching: the gradients of a large batch in the memory of a small one (Gao et al. 2021, "Scaling Deep Contrastive Learning Batch Size
 * under Memory Limited Setup", section 3.2), the same for every executor.
 *
 *   1  every micro-batch is reduced to its features [b, ...], and no activation is kept
 *   2  the losses of each micro-batch's rows against all N rows give the gradients of the features and of the losses' own weights
 *   3  every micro-batch is run again and its features' gradients are pulled back to the weights, whose gradients add up in place
 *
 * The order is fixed, so the sums have the same bits every time.
 */
import * as Effect from "effect/Effect"
import { EngineError } from "./EngineError.ts"
import { arrayClass, mapTensors } from "./HostTensors.ts"
import type { HostTensor, HostTensors, MicroBatches, RowLosses, TrainingProgram } from "./Program.ts"
import type { StepNumbers } from "./TrainingChecks.ts"

export type CachedProgram = TrainingProgram & { readonly byRows: RowLosses }

export interface BlockResult {
  readonly losses: Readonly<Record<string, number>>
  readonly outputs: HostTensors
  /** Of the block's features. */
  readonly gradients: HostTensors
}

/** What an executor does for one step. Gradients of weights, and of all features, add up where it keeps them. */
export interface CachedPasses {
  readonly features: (inputs: HostTensors) => Effect.Effect<HostTensors, EngineError>
  /** Takes the features of all rows; every gradient is zero again. */
  readonly begin: (all: HostTensors) => Effect.Effect<void, EngineError>
  readonly block: (rows: HostTensors, places: HostTensor) => Effect.Effect<BlockResult, EngineError>
  /** What the blocks so far have added up for the features of all rows. */
  readonly gradientOfAll: Effect.Effect<HostTensors, EngineError>
  /** Gives the norm of all gradients of the weights so far. */
  readonly accumulate: (inputs: HostTensors, gradients: HostTensors) => Effect.Effect<number, EngineError>
}

export interface CachedPass extends StepNumbers {
  readonly outputs: HostTensors
}

/** Fails with InvalidProgram where the program has no such split. */
export const cachedProgram = (program: TrainingProgram): Effect.Effect<CachedProgram, EngineError> => {
  const { byRows, twin, state, name } = program
  const refuse = (detail: string) => Effect.fail(new EngineError({ reason: "InvalidProgram", program: name, detail }))
  if (byRows === undefined) return refuse("gradient caching needs losses that are split by rows")
  if (twin.length > 0 || Object.keys(state).length > 0) return refuse("gradient caching serves no twin and no state")
  return Effect.succeed({ ...program, byRows })
}

const lengthOf = ({ shape, data }: HostTensor): number => data.length / shape[0]!

/** [N, ...] of the parts' rows. */
const stacked = (parts: ReadonlyArray<HostTensors>): HostTensors =>
  mapTensors(parts[0]!, ({ shape, dtype }, name) => {
    const rows = parts.reduce((count, part) => count + part[name]!.shape[0]!, 0)
    const data = new arrayClass[dtype](parts.reduce((size, part) => size + part[name]!.data.length, 0))
    let at = 0
    for (const part of parts) {
      data.set(part[name]!.data, at)
      at += part[name]!.data.length
    }
    return { dtype, shape: [rows, ...shape.slice(1)], data }
  })

/** Adds the rows from `first` on of `all` to `rows`, which are overwritten. */
const addRows = (rows: HostTensors, all: HostTensors, first: number): void => {
  for (const [name, { data }] of Object.entries(rows)) {
    const from = all[name]!
    const start = first * lengthOf(from)
    for (let i = 0; i < data.length; i++) data[i]! += from.data[start + i]!
  }
}

/** Sums of numbers by name, in float64. */
const addNumbers = (sums: Record<string, number>, numbers: Readonly<Record<string, number>>): void => {
  for (const [name, value] of Object.entries(numbers)) sums[name] = (sums[name] ?? 0) + value
}

const scalar = (value: number): HostTensor => ({ shape: [], dtype: "float32", data: Float32Array.of(value) })

/** Losses and outputs of the batch; the gradients of the weights are then where `passes` keeps them. */
export const cachedPass = <E>(
  passes: CachedPasses,
  { sizes, inputs }: MicroBatches<E>
): Effect.Effect<CachedPass, EngineError | E> =>
  Effect.gen(function* () {
    const features: Array<HostTensors> = []
    for (const index of sizes.keys()) features.push(yield* passes.features(yield* inputs(index)))
    yield* passes.begin(stacked(features))
    const losses: Record<string, number> = {}
    const outputs: Record<string, number> = {}
    const gradients: Array<HostTensors> = []
    let first = 0
    for (const [index, size] of sizes.entries()) {
      const places = Int32Array.from({ length: size }, (_, row) => first + row)
      const block = yield* passes.block(features[index]!, { shape: [size], dtype: "int32", data: places })
      addNumbers(losses, block.losses)
      addNumbers(
        outputs,
        mapTensors(block.outputs, ({ data }) => data[0]!)
      )
      gradients.push(block.gradients)
      first += size
    }
    const ofAll = yield* passes.gradientOfAll
    first = 0
    let grad_norm = 0
    for (const [index, size] of sizes.entries()) {
      addRows(gradients[index]!, ofAll, first)
      grad_norm = yield* passes.accumulate(yield* inputs(index), gradients[index]!)
      first += size
    }
    const total = Object.values(losses).reduce((sum, loss) => sum + loss, 0)
    return { losses, total, grad_norm, outputs: mapTensors(outputs, scalar) }
  })
