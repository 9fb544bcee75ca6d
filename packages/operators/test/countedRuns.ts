/** The onnx engine, and how often each program ran on it. */
import { Engine, makeOnnxExecutor } from "@bootlace/engine"
import type { Executor, Program } from "@bootlace/engine"
import { Effect, Layer } from "effect"
import { LoadedModels } from "../src/tensor/LoadedModels.ts"

/** An executor that counts the runs of each program. */
const counting = (executor: Executor, runs: Map<string, number>): Executor => {
  const count = ({ name }: Program) => Effect.sync(() => runs.set(name, (runs.get(name) ?? 0) + 1))
  return {
    ...executor,
    load: (weights, options) =>
      Effect.map(executor.load(weights, options), (loaded) => ({
        ...loaded,
        run: (program, inputs) => Effect.andThen(count(program), loaded.run(program, inputs)),
        hold: Effect.map(loaded.hold, (held) => ({
          ...held,
          run: (program, inputs, keeping) => Effect.andThen(count(program), held.run(program, inputs, keeping))
        }))
      }))
  }
}

export const countedRuns = () => {
  const runs = new Map<string, number>()
  const engine = Layer.effect(
    Engine,
    Effect.map(makeOnnxExecutor({ threads: 1 }), (executor) => counting(executor, runs))
  )
  return { layer: Layer.provideMerge(LoadedModels.layer, engine), runs }
}
