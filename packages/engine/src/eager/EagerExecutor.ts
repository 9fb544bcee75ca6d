/**
 * Runs programs as they are on a tfjs backend, operation by operation: the reference that captured programs are compared with, and the
 * way to run where there is no native library. Weights stay on the host, so it is slow and plain.
 */
import * as Effect from "effect/Effect"
import type { Scope } from "effect"
import * as tf from "@tensorflow/tfjs-core"
import { checkTensors, pick } from "../CheckTensors.ts"
import { EngineError } from "../EngineError.ts"
import { firstNonFinite, mapTensors } from "../HostTensors.ts"
import { heldOnHost } from "../Held.ts"
import type { Executor, HostTensors, LoadedModel } from "../Program.ts"
import { trainEager } from "./EagerTrainer.ts"
import { evaluate, toTensors } from "./Evaluate.ts"
import type { EagerBackend } from "./TfjsBackend.ts"
import { loadBackend } from "./TfjsBackend.ts"

export interface EagerOptions {
  readonly backend?: EagerBackend
}

/** Fails with Unavailable where the backend doesn't load. */
export const makeEagerExecutor = (options: EagerOptions = {}): Effect.Effect<Executor, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const backend = options.backend ?? "cpu"
    yield* loadBackend(backend)
    return {
      name: "eager",
      numerics: `tfjs ${tf.version_core} ${backend} fp32`,
      load: (weights) => Effect.as(checkTensors("load", "weight", weights), loadModel(backend, weights))
    } satisfies Executor
  })

function loadModel(backend: EagerBackend, given: HostTensors): LoadedModel {
  const weights: Record<string, HostTensors[string]> = mapTensors(given, (tensor) => ({
    ...tensor,
    data: tensor.data.slice()
  }))
  const run: LoadedModel["run"] = (program, inputs) =>
    Effect.gen(function* () {
      const { name } = program
      yield* checkTensors(name, "input", inputs)
      const used = yield* pick(name, weights, program.weights)
      const outputs = yield* evaluate(name, backend, () => program.run(toTensors(used), toTensors(inputs)))
      const bad = firstNonFinite(outputs)
      if (bad !== undefined)
        return yield* new EngineError({ reason: "NonFinite", program: name, detail: `the output ${bad}` })
      return outputs
    })
  return {
    run,
    hold: Effect.sync(() => heldOnHost(run)),
    weights: Effect.sync(() => ({ ...weights })),
    train: (program, optimizer, start) => trainEager(backend, weights, program, optimizer, start)
  }
}
