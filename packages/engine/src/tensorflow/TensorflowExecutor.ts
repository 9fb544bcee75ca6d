/**
 * Captured programs as whole graphs in TensorFlow, through the binding of @tensorflow/tfjs-node-gpu, in a worker thread that owns the
 * tensors. Needs the library that `bootlace engine install tensorflow` provisions. One call at a time; calls wait for their turn.
 *
 * A training's tensors are variables of its model. An inference program is fed with the model's weights at each run: by reference on the
 * CPU, by a copy to any other device.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Scope } from "effect"
import { availableParallelism } from "node:os"
import { checkTensors, pick } from "../CheckTensors.ts"
import { makeCompileCache } from "../CompileCache.ts"
import { asEngineError, EngineError } from "../EngineError.ts"
import { buffersOf, copies, firstNonFinite, mapTensors, prefixed, shapeKey, specsOf, under } from "../HostTensors.ts"
import { instructionSet } from "../InstructionSet.ts"
import { inferenceGraph } from "../Compile.ts"
import type { Executor, HostTensors, Keeping, LoadedModel, Program, Specs } from "../Program.ts"
import { startWorker, workerFile } from "../WorkerClient.ts"
import { holdingOf, holdInWorker } from "../WorkerHeld.ts"
import type { Held } from "../WorkerHeld.ts"
import type { Precision } from "./GraphBuilder.ts"
import { installedBinding } from "./install/Installation.ts"
import type { Command, TensorflowData } from "./Protocol.ts"
import { trainTensorflow } from "./TensorflowTrainer.ts"
import { graphModel, load, release } from "./Training.ts"
import type { Loaded, TensorflowClient } from "./Training.ts"

export interface TensorflowOptions {
  /** bf16 rounds the operands of matrix products; weights, moments and sums stay float32. Default fp32. */
  readonly precision?: Precision
  /** The binding's file instead of the installed one. */
  readonly binding?: string
}

/** Fails with Unavailable where the library isn't installed or doesn't load. */
export const makeTensorflowExecutor = (
  options: TensorflowOptions = {}
): Effect.Effect<Executor, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const binding = options.binding ?? (yield* installedBinding)
    return tensorflowExecutor(yield* startTensorflow(binding), options.precision ?? "fp32")
  })

export const startTensorflow = (binding: string): Effect.Effect<TensorflowClient, EngineError, Scope.Scope> =>
  Effect.suspend(() => {
    // TensorFlow reports its start in dozens of lines on stderr; errors come through the binding anyway.
    process.env.TF_CPP_MIN_LOG_LEVEL ??= "3"
    return startWorker<Command, TensorflowData>({
      executor: "tensorflow",
      file: workerFile("TensorflowWorker", import.meta.url),
      data: { binding }
    })
  })

let spaces = 0

interface LoadedProgram extends Loaded {
  /** Of its outputs. */
  readonly specs: Specs
}

/** Raised when the operations that a program becomes change, and with them the last bits of its results. */
const revision = 2

/** The binding leaves threads to TensorFlow, which takes a thread per core that the process may use. */
const tensorflowExecutor = (client: TensorflowClient, precision: Precision): Executor => {
  const lock = Semaphore.makeUnsafe(1)
  const threads = availableParallelism()
  return {
    name: "tensorflow",
    numerics: `tensorflow ${client.version} graphs ${revision} ${instructionSet()} threads=${threads} ${precision}`,
    load: (weights, options) =>
      loadModel(client, lock, precision, options?.transfer === true ? weights : copies(weights))
  }
}

/** `given` is the executor's own. */
const loadModel = (
  client: TensorflowClient,
  lock: Semaphore.Semaphore,
  precision: Precision,
  given: HostTensors
): Effect.Effect<LoadedModel, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const space = ++spaces
    const specs = specsOf(given)
    yield* checkTensors("load", "weight", given)
    yield* client.ask("load", { _tag: "Put", space, tensors: prefixed("w:", given) }, buffersOf(given))
    yield* Effect.addFinalizer(() => Effect.ignore(client.ask("load", { _tag: "Drop", space })))
    const cache = yield* makeCompileCache<LoadedProgram>((loaded) => release(client, loaded))
    const compile = Effect.fnUntraced(function* (program: Program, used: Specs, inputs: Specs) {
      const graph = yield* Effect.try({ try: () => inferenceGraph(program, used, inputs), catch: asEngineError })
      const loaded = yield* load(client, program.name, () => graphModel(graph, precision))
      return { ...loaded, specs: mapTensors(graph.outputs, ({ shape, dtype }) => ({ shape, dtype })) }
    })

    const runWith = (program: Program, inputs: HostTensors, held?: Held, keeping: Keeping = {}) =>
      Effect.gen(function* () {
        const { name } = program
        yield* checkTensors(name, "input", inputs)
        const used = yield* pick(name, specs, program.weights)
        const all = { ...held?.specs, ...specsOf(inputs) }
        const { model, specs: made } = yield* cache.get(program, shapeKey(all), () => compile(program, used, all))
        const results = yield* client.ask(name, {
          _tag: "Run",
          model,
          entry: "run",
          spaces: held === undefined ? [space] : [held.space, space],
          inputs: prefixed("x:", inputs),
          ...(held === undefined ? {} : { holding: holdingOf(held, keeping) })
        })
        if (held !== undefined) for (const kept of keeping.keep ?? []) held.specs[kept] = made[`y:${kept}`]!
        const outputs = under("y:", results)
        const bad = firstNonFinite(outputs)
        if (bad !== undefined)
          return yield* new EngineError({ reason: "NonFinite", program: name, detail: `the output ${bad}` })
        return outputs
      })

    return {
      run: (program, inputs) => lock.withPermits(1)(runWith(program, inputs)),
      hold: Effect.suspend(() =>
        holdInWorker(client, ++spaces, (program, inputs, held, keeping) =>
          lock.withPermits(1)(runWith(program, inputs, held, keeping))
        )
      ),
      weights: lock.withPermits(1)(client.ask("weights", { _tag: "Read", space, prefix: "w:" })),
      train: (program, optimizer, start) =>
        trainTensorflow({ client, lock, precision, space, specs }, ++spaces, program, optimizer, start)
    }
  })
