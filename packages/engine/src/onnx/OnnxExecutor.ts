/**
 * The default executor: captured programs run by ONNX Runtime on the CPU, in a worker thread that owns weights and moments, so
 * that the caller's event loop stays free. One call at a time; calls wait for their turn.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Scope } from "effect"
import { EngineError } from "../EngineError.ts"
import { checkTensors, pick } from "../CheckTensors.ts"
import { buffersOf, copies, firstNonFinite, prefixed, shapeKey, specsOf, under } from "../HostTensors.ts"
import { instructionSet } from "../InstructionSet.ts"
import type { Executor, HostTensors, Keeping, LoadedModel, Program } from "../Program.ts"
import { inferenceGraph } from "../Compile.ts"
import { holdingOf, holdInWorker } from "../WorkerHeld.ts"
import type { Held } from "../WorkerHeld.ts"
import { int8Levels } from "./Int8.ts"
import type { OnnxPrecision, Target } from "./Lower.ts"
import { trainOnnx } from "./OnnxTrainer.ts"
import { makeSessionCache, runOf } from "./SessionCache.ts"
import type { SessionClient } from "./SessionClient.ts"
import { newSpace, startSessions } from "./SessionClient.ts"
import type { TrainedModel } from "./WorkerTraining.ts"

export interface OnnxOptions {
  /** Threads per operation. Part of what fixes a result's bits. */
  readonly threads: number
  /** An existing folder for the times of kernels: `readKernelTimes`. The results stay the same, the first runs are slower. */
  readonly profile?: string
  /** `int8`: weights of products in 8 bits, in inference. Faster where the processor has instructions for it, and less exact. Default fp32. */
  readonly precision?: OnnxPrecision
}

/** Raised when the operations that a program becomes change, and with them the last bits of its results. */
const revision = 2

/** Fails with Unavailable where onnxruntime-node has no binary. */
export const makeOnnxExecutor = (options: OnnxOptions): Effect.Effect<Executor, EngineError, Scope.Scope> =>
  Effect.map(startSessions({ ...options, device: "cpu" }), (client) => onnxExecutor(client, options))

/** On a GPU through WebGPU, fp32. Fails with Unavailable where there is no adapter. */
export const makeWebgpuExecutor: Effect.Effect<Executor, EngineError, Scope.Scope> = Effect.map(
  startSessions({ device: "webgpu", threads: 1 }),
  (client) => ({
    name: "webgpu",
    numerics: `onnxruntime-node ${client.version} graphs ${revision} fp32`,
    load: loader(client, { precision: "fp32", device: "webgpu" })
  })
)

/** The executor over a running session worker. */
export const onnxExecutor = (client: SessionClient, { threads, precision = "fp32" }: OnnxOptions): Executor => {
  const bits = precision === "int8" ? `int8 (${int8Levels()})` : precision
  return {
    name: "onnx",
    numerics: `onnxruntime-node ${client.version} graphs ${revision} cpu ${instructionSet()} threads=${threads} ${bits}`,
    load: loader(client, { precision, device: "cpu" })
  }
}

const loader = (client: SessionClient, target: Target): Executor["load"] => {
  const lock = Semaphore.makeUnsafe(1)
  return (weights, options) => loadModel(client, lock, options?.transfer === true ? weights : copies(weights), target)
}

/** `given` is the executor's own. */
const loadModel = (
  client: SessionClient,
  lock: Semaphore.Semaphore,
  given: HostTensors,
  target: Target
): Effect.Effect<LoadedModel, EngineError, Scope.Scope> =>
  Effect.gen(function* () {
    const space = newSpace()
    const specs = specsOf(given)
    const packed: TrainedModel["packed"] = { as: undefined }
    yield* checkTensors("load", "weight", given)
    yield* client.ask("load", { _tag: "Put", space, tensors: prefixed("w:", given) }, buffersOf(given))
    yield* Effect.addFinalizer(() => Effect.ignore(client.ask("load", { _tag: "Drop", space })))
    const cache = yield* makeSessionCache(client, target)
    // Weights held in 8 bits too; once a training has begun they are made anew for each run.
    const small = new Set<string>()
    let trained = false
    const shrink = Effect.fnUntraced(function* (wanted: ReadonlyArray<string>) {
      const weights = wanted.filter((name) => trained || !small.has(name))
      if (weights.length === 0) return
      yield* client.ask("load", { _tag: "Quantize", space, weights, levels: int8Levels() })
      for (const name of weights) small.add(name)
    })
    const read = client.ask("weights", { _tag: "Read", space, prefix: "w:" })

    const runWith = (
      program: Program,
      inputs: HostTensors,
      held?: Held,
      keeping: Keeping = {},
      moved?: ReadonlyArray<ArrayBuffer>
    ) =>
      Effect.gen(function* () {
        const { name } = program
        yield* checkTensors(name, "input", inputs)
        const used = yield* pick(name, specs, program.weights)
        const all = { ...held?.specs, ...specsOf(inputs) }
        const holding = held && holdingOf(held, keeping)
        const stays = Object.keys({ ...holding?.keep, ...holding?.write })
        const compiled = yield* cache.get(program, shapeKey(all), () => inferenceGraph(program, used, all), stays)
        yield* shrink(compiled.int8)
        const spaces = held === undefined ? [space] : [held.space, space]
        const command = { ...runOf(compiled, spaces, prefixed("x:", inputs)), ...(holding && { holding }) }
        const results = yield* client.ask(name, command, moved)
        if (held !== undefined) for (const kept of keeping.keep ?? []) held.specs[kept] = compiled.specs[`y:${kept}`]!
        const outputs = under("y:", results)
        const bad = firstNonFinite(outputs)
        if (bad !== undefined)
          return yield* new EngineError({ reason: "NonFinite", program: name, detail: `the output ${bad}` })
        return outputs
      })

    return {
      run: (program, inputs, options) => {
        const moved = options?.transfer === true ? buffersOf(inputs) : []
        return lock.withPermits(1)(runWith(program, inputs, undefined, {}, moved))
      },
      hold: Effect.suspend(() =>
        holdInWorker(client, newSpace(), (program, inputs, held, keeping) =>
          lock.withPermits(1)(runWith(program, inputs, held, keeping))
        )
      ),
      weights: lock.withPermits(1)(read),
      train: (program, optimizer, start) =>
        Effect.suspend(() => {
          trained = true
          return trainOnnx(
            { client, device: target.device, lock, space, specs, packed },
            newSpace(),
            newSpace(),
            program,
            optimizer,
            start
          )
        })
    }
  })
