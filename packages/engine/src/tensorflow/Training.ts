/** A model and a training whose tensors are in TensorFlow's worker: where they are, and how they are asked for. */
import * as Effect from "effect/Effect"
import type { Semaphore } from "effect"
import type { CompileCache } from "../CompileCache.ts"
import { asEngineError } from "../EngineError.ts"
import type { EngineError } from "../EngineError.ts"
import type { Graph } from "../Graph.ts"
import type { HostTensors, Specs } from "../Program.ts"
import type { WorkerClient } from "../WorkerClient.ts"
import type { WorkerTraining } from "../WorkerTrainer.ts"
import { GraphBuilder } from "./GraphBuilder.ts"
import type { Precision } from "./GraphBuilder.ts"
import { graphEntry } from "./Model.ts"
import type { CompiledModel } from "./Model.ts"
import type { Command } from "./Protocol.ts"
import { encodeSavedModel } from "./SavedModel.ts"

export type TensorflowClient = WorkerClient<Command>

/** A model that the worker has loaded. */
export interface Loaded {
  readonly model: number
  readonly entries: CompiledModel["entries"]
}

export interface TrainedModel {
  readonly client: TensorflowClient
  readonly lock: Semaphore.Semaphore
  readonly precision: Precision
  /** Where the worker keeps the model's weights. */
  readonly space: number
  readonly specs: Specs
}

export interface Training extends WorkerTraining, TrainedModel {
  readonly client: TensorflowClient
  readonly cache: CompileCache<Loaded>
}

let models = 0

/** Loads what `build` gives into the worker. */
export const load = (
  client: TensorflowClient,
  program: string,
  build: () => CompiledModel
): Effect.Effect<Loaded, EngineError> =>
  Effect.gen(function* () {
    const compiled = yield* Effect.try({ try: build, catch: asEngineError })
    const model = ++models
    yield* client.ask(program, { _tag: "Compile", model, compiled })
    return { model, entries: compiled.entries }
  })

export const release = (client: TensorflowClient, { model }: Loaded): Effect.Effect<void> =>
  Effect.ignore(client.ask("tensorflow executor", { _tag: "Release", model }))

/** A graph as a model of its own, with the one entry `run`. */
export const graphModel = (graph: Graph, precision: Precision): CompiledModel => {
  const builder = new GraphBuilder(precision)
  const run = graphEntry(builder, graph)
  return { bytes: encodeSavedModel(builder.nodes), entries: { run }, variables: {} }
}

export const ask = (training: Training, command: Command) => training.client.ask(training.program.name, command)

export const runEntry = (training: Training, { model }: Loaded, entry: string, inputs: HostTensors) =>
  ask(training, { _tag: "Run", model, entry, spaces: [training.ownSpace, training.space], inputs })
