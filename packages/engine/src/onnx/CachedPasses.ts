/** The three passes of gradient caching in the session worker, which keeps the sums: `g:` of the weights, `d:` of all rows' features. */
import { Effect } from "effect"
import { checkTensors } from "../CheckTensors.ts"
import type { CachedPasses, CachedProgram } from "../GradientCaching.ts"
import { mapTensors, namesUnder, numberOf, prefixed, shapeKey, specsOf, under, zeros } from "../HostTensors.ts"
import type { HostTensors } from "../Program.ts"
import { accumulateGraph, blockGraph, featuresGraph } from "./Compile.ts"
import { inPlace } from "./Protocol.ts"
import { ask } from "./WorkerTraining.ts"
import type { Training } from "./WorkerTraining.ts"

/** The passes of one step, and the weights that they have found to have a gradient. */
export const cachedPasses = (
  training: Training,
  program: CachedProgram
): { readonly passes: CachedPasses; readonly trained: ReadonlySet<string> } => {
  const { own, ownSpace, space, cache } = training
  const ofBlocks = new Set<string>()
  const trained = new Set<string>()
  const run = (session: number, inputs: HostTensors) =>
    ask(training, { _tag: "Run", session, spaces: [ownSpace, space], inputs })
  let all: HostTensors = {}

  const features: CachedPasses["features"] = Effect.fnUntraced(function* (inputs) {
    yield* checkTensors(program.name, "input", inputs)
    const build = () => featuresGraph(program, own, specsOf(inputs))
    const { session } = yield* cache.get(featuresGraph, shapeKey(inputs), build)
    return under("y:", yield* run(session, prefixed("x:", inputs)))
  })
  const begin: CachedPasses["begin"] = Effect.fnUntraced(function* (given) {
    all = given
    const tensors = { ...prefixed("a:", given), ...prefixed("d:", zeros(specsOf(given))) }
    yield* ask(training, { _tag: "Put", space: ownSpace, tensors })
    yield* ask(training, { _tag: "Clear", space: ownSpace, prefix: "g:" })
  })
  const block: CachedPasses["block"] = Effect.fnUntraced(function* (rows, places) {
    const build = () => blockGraph(program, own, specsOf(rows), specsOf(all))
    const { session, outputs } = yield* cache.get(blockGraph, `${shapeKey(rows)} of ${shapeKey(all)}`, build)
    for (const name of namesUnder(`${inPlace}g:`, outputs)) {
      trained.add(name)
      ofBlocks.add(name)
    }
    const results = yield* run(session, { ...prefixed("r:", rows), places })
    return {
      losses: mapTensors(under("l:", results), numberOf),
      outputs: under("y:", results),
      gradients: under("e:", results)
    }
  })
  const accumulate: CachedPasses["accumulate"] = Effect.fnUntraced(function* (inputs, gradients) {
    const build = () => accumulateGraph(program, own, specsOf(inputs), specsOf(gradients), [...ofBlocks])
    const { session, outputs } = yield* cache.get(accumulateGraph, shapeKey(inputs), build)
    for (const name of namesUnder(`${inPlace}g:`, outputs)) trained.add(name)
    return numberOf((yield* run(session, { ...prefixed("x:", inputs), ...prefixed("e:", gradients) })).grad_norm)
  })
  const gradientOfAll = ask(training, { _tag: "Read", space: ownSpace, prefix: "d:" })
  return { passes: { features, begin, block, gradientOfAll, accumulate }, trained }
}
