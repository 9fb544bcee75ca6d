/** Trainings on the tiny pairs, driven as the runtime drives them, and what they leave. */
import type { Artifact, ArtifactWriter, Batch, Files, TrainingGraph } from "@bootlace/graph"
import { Effect } from "effect"
import { Train } from "../src/Train.ts"
import { decodeTensors, encodeTensors } from "../src/tensor/TensorFile.ts"
import { artifactOf, decodeConfig, memoryWriter, readJson, runIn } from "./inMemory.ts"
import { datasetOf, filesOf, onnx, pairs } from "./tinyPairs.ts"
import { trainingGraph } from "./trainingGraph.ts"

/** What a Train node's body is opened with. */
export const trainingContext = Effect.fnUntraced(function* (
  init: Artifact,
  config: unknown,
  graph: TrainingGraph,
  rows: Batch = pairs,
  writer: ArtifactWriter = memoryWriter().writer
) {
  return {
    node: "train",
    config: (yield* decodeConfig(Train, config)) as never,
    seed: 5,
    artifacts: { init },
    directory: ".",
    writer,
    datasets: { pairs: datasetOf(rows) },
    graph
  }
})

export interface TrainOptions {
  readonly stopAt?: number
  /** Keeps the checkpoint before every step. */
  readonly save?: boolean
  readonly rows?: Batch
  /** Config of the node itc. */
  readonly itc?: object
  /** Of the losses in the sum, by output. */
  readonly weights?: Readonly<Record<string, number>>
}

/** Trains; with `stopAt` it is thrown away after that many steps and goes on from its checkpoint. */
export const train = async (
  init: Artifact,
  config: object,
  { stopAt, save = false, rows = pairs, itc = {}, weights = {} }: TrainOptions = {}
) => {
  const given = { layer: onnx, artifacts: { init } }
  const { graph, config: own } = await trainingGraph(config, itc)
  const minimize = graph.minimize.map((each) => ({ ...each, weight: weights[each.output] ?? 1 }))
  const effect = Effect.gen(function* () {
    const memory = memoryWriter()
    const context = yield* trainingContext(init, own, { ...graph, minimize }, rows, memory.writer)
    let training = yield* Train.body.open(context)
    const saved: Array<Files> = []
    for (let step = 0; step < training.steps; step++) {
      if (save) saved.push(yield* training.snapshot)
      if (step === stopAt) {
        const checkpoint: Files = yield* training.snapshot
        training = yield* Train.body.open(context)
        yield* training.restore(checkpoint)
      }
      yield* training.step(step)
    }
    const metrics = yield* training.finish
    return { metrics, saved, files: memory.files, model: artifactOf("model", memory.files) }
  })
  return runIn(given, effect)
}

export const history = (files: Files) =>
  readJson(files, "history.json") as ReadonlyArray<Readonly<Record<string, number>>>

export const weightsOf = (files: Files) => decodeTensors(files["model.safetensors"]!, "model.safetensors")

/** The model with the numbers of one weight changed. */
export const withWeight = async (
  model: Artifact,
  weight: string,
  change: (numbers: Float32Array) => void
): Promise<Artifact> => {
  const files = await filesOf(model)
  const tensors = weightsOf(files)
  change(tensors[weight]!.data as Float32Array)
  return artifactOf("model", { ...files, "model.safetensors": encodeTensors(tensors) })
}
