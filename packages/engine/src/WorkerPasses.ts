/** The three passes of gradient caching where a worker owns the tensors and keeps the sums: `g:` of the weights, `d:` of all rows' features. */
import * as Effect from "effect/Effect"
import { checkTensors } from "./CheckTensors.ts"
import { accumulateGraph, blockGraph, featuresGraph } from "./Compile.ts"
import type { EngineError } from "./EngineError.ts"
import type { CachedPasses, CachedProgram } from "./GradientCaching.ts"
import type { Graph } from "./Graph.ts"
import { mapTensors, namesUnder, numberOf, prefixed, shapeKey, specsOf, under, zeros } from "./HostTensors.ts"
import type { HostTensors } from "./Program.ts"
import { inPlace } from "./WorkerProtocol.ts"
import type { WorkerTraining } from "./WorkerTrainer.ts"

export interface GraphRun {
  /** Names of all the graph's outputs. */
  readonly outputs: ReadonlyArray<string>
  /** Those that came back. */
  readonly results: HostTensors
}

export interface PassRunner {
  /** Runs a graph, compiled once for each (pass, key), on these inputs and the training's tensors. */
  readonly run: (
    pass: object,
    key: string,
    graph: () => Graph,
    inputs: HostTensors
  ) => Effect.Effect<GraphRun, EngineError>
  /** The graph that goes back through the encoders, as the executor wants it. */
  readonly backward: (graph: Graph) => Graph
  /** Makes every gradient of a weight zero. */
  readonly clear: Effect.Effect<unknown, EngineError>
}

/** The passes of one step, and the weights that they have found to have a gradient. */
export const workerPasses = (
  { client, own, ownSpace }: WorkerTraining,
  program: CachedProgram,
  { run, backward, clear }: PassRunner
): { readonly passes: CachedPasses; readonly trained: ReadonlySet<string> } => {
  const ofBlocks = new Set<string>()
  const trained = new Set<string>()
  const summed = ({ outputs }: GraphRun) => namesUnder(`${inPlace}g:`, outputs)
  let all: HostTensors = {}

  const features: CachedPasses["features"] = Effect.fnUntraced(function* (inputs) {
    yield* checkTensors(program.name, "input", inputs)
    const build = () => featuresGraph(program, own, specsOf(inputs))
    const { results } = yield* run(featuresGraph, shapeKey(inputs), build, prefixed("x:", inputs))
    return under("y:", results)
  })
  const begin: CachedPasses["begin"] = Effect.fnUntraced(function* (given) {
    all = given
    const tensors = { ...prefixed("a:", given), ...prefixed("d:", zeros(specsOf(given))) }
    yield* client.ask(program.name, { _tag: "Put", space: ownSpace, tensors })
    yield* clear
  })
  const block: CachedPasses["block"] = Effect.fnUntraced(function* (rows, places) {
    const build = () => blockGraph(program, own, specsOf(rows), specsOf(all))
    const key = `${shapeKey(rows)} of ${shapeKey(all)}`
    const done = yield* run(blockGraph, key, build, { ...prefixed("r:", rows), places })
    for (const name of summed(done)) {
      trained.add(name)
      ofBlocks.add(name)
    }
    return {
      losses: mapTensors(under("l:", done.results), numberOf),
      outputs: under("y:", done.results),
      gradients: under("e:", done.results)
    }
  })
  const accumulate: CachedPasses["accumulate"] = Effect.fnUntraced(function* (inputs, gradients) {
    const build = () => backward(accumulateGraph(program, own, specsOf(inputs), specsOf(gradients), [...ofBlocks]))
    const given = { ...prefixed("x:", inputs), ...prefixed("e:", gradients) }
    const done = yield* run(accumulateGraph, shapeKey(inputs), build, given)
    for (const name of summed(done)) trained.add(name)
    return numberOf(done.results.grad_norm)
  })
  const gradientOfAll = client.ask(program.name, { _tag: "Read", space: ownSpace, prefix: "d:" })
  return { passes: { features, begin, block, gradientOfAll, accumulate }, trained }
}
