/** The three passes of gradient caching on a tfjs backend, all tensors on the host between them. */
import * as Effect from "effect/Effect"
import { checkTensors } from "../CheckTensors.ts"
import type { CachedPasses, CachedProgram } from "../GradientCaching.ts"
import { mapTensors, prefixed, specsOf, under, zeros } from "../HostTensors.ts"
import type { HostTensor, HostTensors, Tensors } from "../Program.ts"
import { addedTo, differentiate, normOf, pulled } from "../TrainingStep.ts"
import { evaluate, toTensors } from "./Evaluate.ts"

interface Weights {
  readonly own: Tensors
  readonly all: Tensors
}

/** The passes of one step, and the gradients of the weights, which they add up. */
export const cachedPasses = (
  backend: string,
  { name, byRows }: CachedProgram,
  weights: () => Weights
): { readonly passes: CachedPasses; readonly gradients: HostTensors } => {
  const gradients: Record<string, HostTensor> = {}
  let all: HostTensors = {}
  let ofAll: HostTensors = {}
  const run = (build: () => Tensors) => evaluate(name, backend, build)
  /** Sums with what there is so far; `zeros` where there is nothing yet. */
  const addUp = (found: Tensors): Tensors =>
    addedTo(toTensors({ ...zeros(specsOf(found as never)), ...gradients }), found)

  const features: CachedPasses["features"] = Effect.fnUntraced(function* (inputs) {
    yield* checkTensors(name, "input", inputs)
    return yield* run(() => byRows.features({ weights: weights().all, inputs: toTensors(inputs) }))
  })
  const begin: CachedPasses["begin"] = (given) =>
    Effect.sync(() => {
      all = given
      ofAll = zeros(specsOf(given))
    })
  const block: CachedPasses["block"] = Effect.fnUntraced(function* (rows, places) {
    const results = yield* run(() => {
      const { own, all: every } = weights()
      const tensors = { rows: toTensors(rows), all: toTensors(all) }
      const by = { ...prefixed("g:", own), ...prefixed("e:", tensors.rows), ...prefixed("d:", tensors.all) }
      const at = { weights: every, ...tensors, places: toTensors({ places }).places! }
      const result = differentiate(name, by, () => byRows.block(at))
      return {
        ...prefixed("l:", result.losses),
        ...prefixed("y:", result.outputs),
        ...prefixed("e:", under("e:", result.gradients)),
        ...prefixed("d:", addedTo(toTensors(ofAll), under("d:", result.gradients))),
        ...prefixed("g:", addUp(under("g:", result.gradients)))
      }
    })
    Object.assign(gradients, under("g:", results))
    ofAll = { ...ofAll, ...under("d:", results) }
    return {
      losses: mapTensors(under("l:", results), ({ data }) => data[0]!),
      outputs: under("y:", results),
      gradients: { ...zeros(specsOf(rows)), ...under("e:", results) }
    }
  })
  const accumulate: CachedPasses["accumulate"] = Effect.fnUntraced(function* (inputs, by) {
    const results = yield* run(() => {
      const { own, all: every } = weights()
      const found = differentiate(name, own, () =>
        pulled(byRows.features({ weights: every, inputs: toTensors(inputs) }), toTensors(by))
      )
      const sums = addUp(found.gradients)
      return { grad_norm: normOf({ ...toTensors(gradients), ...sums }), ...prefixed("g:", sums) }
    })
    Object.assign(gradients, under("g:", results))
    return results.grad_norm!.data[0]!
  })
  return { passes: { features, begin, block, gradientOfAll: Effect.sync(() => ofAll), accumulate }, gradients }
}
