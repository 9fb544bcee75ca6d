/** The services of a run: store, engine, loaded models, progress. Imported only by commands that run something. */
import { ArtifactStore, Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { LoadedModels } from "@bootlace/operators"
import { Progress } from "@bootlace/runtime"
import { Effect, Layer, Logger } from "effect"
import { stat } from "node:fs/promises"
import { availableParallelism } from "node:os"
import { usage } from "./Failure.ts"

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

const engineLayer = (engine: "onnx" | "eager", threads: number, profile: string | undefined) =>
  engine === "onnx" ? Engine.onnx({ threads, ...(profile === undefined ? {} : { profile }) }) : Engine.eager()

/** Log messages go to stderr: stdout is for results. */
const logs = Layer.succeed(Logger.LogToStderr, true)

interface EngineOptions {
  readonly engine: "onnx" | "eager"
  readonly threads: number | undefined
  /** A folder for the times of kernels. */
  readonly profileFolder?: string | undefined
}

/** What running a model takes. */
export const engineMachinery = ({ engine, threads, profileFolder }: EngineOptions) =>
  Layer.merge(
    LoadedModels.layer.pipe(Layer.provideMerge(engineLayer(engine, threads ?? defaultThreads, profileFolder))),
    logs
  )

/** What running a pipeline takes. */
export const machinery = (options: EngineOptions & { readonly store: string }) =>
  Layer.mergeAll(storeLayer(options.store), engineMachinery(options), Progress.layer)
