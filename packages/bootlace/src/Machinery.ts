/** The services of a run: store, engine, loaded models, progress. Imported only by commands that run something. */
import { ArtifactStore, Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import { LoadedModels } from "@bootlace/operators"
import { Progress } from "@bootlace/runtime"
import { Layer, Logger } from "effect"
import { availableParallelism } from "node:os"

/** Small models gain nothing from more threads, and results are equal bit by bit only at equal thread counts. */
export const defaultThreads = Math.min(4, availableParallelism())

export const storeLayer = (root: string) => ArtifactStore.layer(root).pipe(Layer.provideMerge(Files.layer))

const engineLayer = (engine: "onnx" | "eager", threads: number) =>
  engine === "onnx" ? Engine.onnx({ threads }) : Engine.eager()

/** Log messages go to stderr: stdout is for results. */
const logs = Layer.succeed(Logger.LogToStderr, true)

export const machinery = (options: {
  readonly store: string
  readonly engine: "onnx" | "eager"
  readonly threads: number | undefined
}) =>
  Layer.mergeAll(
    storeLayer(options.store),
    LoadedModels.layer.pipe(Layer.provideMerge(engineLayer(options.engine, options.threads ?? defaultThreads))),
    Progress.layer,
    logs
  )
