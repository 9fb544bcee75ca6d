/** The three passes of gradient caching in TensorFlow's worker, which keeps the sums: `g:` of the weights, `d:` of all rows' features. */
import { Effect } from "effect"
import { checkTensors } from "../CheckTensors.ts"
import type { CachedPasses, CachedProgram } from "../GradientCaching.ts"
import type { Graph } from "../Graph.ts"
import { mapTensors, namesUnder, numberOf, prefixed, shapeKey, specsOf, under, zeros } from "../HostTensors.ts"
import { accumulateGraph, blockGraph, featuresGraph } from "../onnx/Compile.ts"
import type { HostTensors } from "../Program.ts"
import { inPlace } from "./Protocol.ts"
import { ask, graphModel, load, runEntry } from "./Training.ts"
import type { Training } from "./Training.ts"

/** The passes of one step, and the weights that they have found to have a gradient. */
export const cachedPasses = (
  training: Training,
  program: CachedProgram
): { readonly passes: CachedPasses; readonly trained: ReadonlySet<string> } => {
  const { own, ownSpace, cache, client, precision } = training
  const ofBlocks = new Set<string>()
  const trained = new Set<string>()
  let all: HostTensors = {}

  const run = Effect.fnUntraced(function* (pass: object, key: string, graph: () => Graph, inputs: HostTensors) {
    const loaded = yield* cache.get(pass, key, () => load(client, program.name, () => graphModel(graph(), precision)))
    const summed = namesUnder(`${inPlace}g:`, Object.keys(loaded.entries.run!.fetches))
    return { summed, results: yield* runEntry(training, loaded, "run", inputs) }
  })
  const features: CachedPasses["features"] = Effect.fnUntraced(function* (inputs) {
    yield* checkTensors(program.name, "input", inputs)
    const build = () => featuresGraph(program, own, specsOf(inputs))
    const { results } = yield* run(featuresGraph, shapeKey(inputs), build, prefixed("x:", inputs))
    return under("y:", results)
  })
  const begin: CachedPasses["begin"] = Effect.fnUntraced(function* (given) {
    all = given
    const tensors = { ...prefixed("a:", given), ...prefixed("d:", zeros(specsOf(given))) }
    yield* ask(training, { _tag: "Put", space: ownSpace, tensors })
    yield* ask(training, { _tag: "Zeros", space: ownSpace, specs: prefixed("g:", own.weights) })
  })
  const block: CachedPasses["block"] = Effect.fnUntraced(function* (rows, places) {
    const build = () => blockGraph(program, own, specsOf(rows), specsOf(all))
    const key = `${shapeKey(rows)} of ${shapeKey(all)}`
    const { summed, results } = yield* run(blockGraph, key, build, { ...prefixed("r:", rows), places })
    for (const name of summed) {
      trained.add(name)
      ofBlocks.add(name)
    }
    return {
      losses: mapTensors(under("l:", results), numberOf),
      outputs: under("y:", results),
      gradients: under("e:", results)
    }
  })
  const accumulate: CachedPasses["accumulate"] = Effect.fnUntraced(function* (inputs, gradients) {
    const build = () => accumulateGraph(program, own, specsOf(inputs), specsOf(gradients), [...ofBlocks])
    const given = { ...prefixed("x:", inputs), ...prefixed("e:", gradients) }
    const { summed, results } = yield* run(accumulateGraph, shapeKey(inputs), build, given)
    for (const name of summed) trained.add(name)
    return numberOf(results.grad_norm)
  })
  const gradientOfAll = ask(training, { _tag: "Read", space: ownSpace, prefix: "d:" })
  return { passes: { features, begin, block, gradientOfAll, accumulate }, trained }
}
