/** The services of a run: store, engine, loaded models, progress. Imported only by commands that run something. */
import { ArtifactStore, Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { EngineError, Executor, OnnxPrecision, Precision } from "@bootlace/engine"
import { LoadedModels } from "@bootlace/operators"
import { Progress } from "@bootlace/runtime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { stat } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { usage } from "./Failure.ts"
import type { Failure } from "./Failure.ts"
import type { RunPrecision } from "./Invocation.ts"

/** Small models gain nothing from more threads, and results are equal bit by bit only at equal thread counts. */
export const defaultThreads = Math.min(4, availableParallelism())

export const storeLayer = (root: string) => ArtifactStore.layer(root).pipe(Layer.provideMerge(Files.layer))

/** For commands that only look: a store that isn't there is a mistake, not one to create. */
export const existingStore = (root: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const found = yield* Effect.promise(() => stat(root).catch(() => undefined))
      if (found?.isDirectory() === true) return storeLayer(root)
      return yield* usage(`error: no store in ${root}\nhint: run a pipeline first, or name another folder with --store`)
    })
  )

const isOnnx = (precision: RunPrecision): precision is OnnxPrecision => precision !== "bf16"
const isTensorflow = (precision: RunPrecision): precision is Precision => precision !== "int8"

const mismatch = (engine: Executor["name"], precision: RunPrecision, others: string) => {
  const message = `error: --precision ${precision} doesn't go with --engine ${engine}, which computes in ${others}`
  return Layer.effect(Engine, Effect.fail(usage(message)))
}

const engineLayer = ({
  engine,
  threads = defaultThreads,
  precision = "fp32",
  profileFolder: profile
}: EngineOptions): Layer.Layer<Engine, EngineError | Failure> => {
  switch (engine) {
    case "tensorflow":
      return isTensorflow(precision) ? Engine.tensorflow({ precision }) : mismatch(engine, precision, "fp32 or bf16")
    case "onnx":
      return isOnnx(precision)
        ? Engine.onnx({ threads, precision, ...(profile === undefined ? {} : { profile }) })
        : mismatch(engine, precision, "fp32 or int8")
    case "webgpu":
      return precision === "fp32" ? Engine.webgpu : mismatch(engine, precision, "fp32")
    case "eager":
      return precision === "fp32" ? Engine.eager() : mismatch(engine, precision, "fp32")
  }
}

/** Log messages go to stderr: stdout is for results. */
const logs = Layer.succeed(Logger.LogToStderr, true)

interface EngineOptions {
  readonly engine: Executor["name"]
  readonly threads: number | undefined
  readonly precision?: RunPrecision
  /** A folder for the times of kernels, which the onnx engine gives. */
  readonly profileFolder?: string | undefined
}

/** What running a model takes. */
export const engineMachinery = (options: EngineOptions) =>
  Layer.merge(LoadedModels.layer.pipe(Layer.provideMerge(engineLayer(options))), logs)

/** What running a pipeline takes. */
export const machinery = (options: EngineOptions & { readonly store: string }) =>
  Layer.mergeAll(storeLayer(options.store), engineMachinery(options), Progress.layer)
