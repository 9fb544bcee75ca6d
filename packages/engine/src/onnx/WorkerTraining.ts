/** A training whose tensors are in the session worker: where they are, and how they are asked for. */
import type { Effect, Semaphore } from "effect"
import type { EngineError } from "../EngineError.ts"
import type { HostTensors, Specs } from "../Program.ts"
import type { WorkerTraining } from "../WorkerTrainer.ts"
import type { Command, Device } from "./Protocol.ts"
import type { SessionCache } from "./SessionCache.ts"
import type { SessionClient } from "./SessionClient.ts"

export interface TrainedModel {
  readonly client: SessionClient
  readonly device: Device
  readonly lock: Semaphore.Semaphore
  /** Where the worker keeps the model's weights. */
  readonly space: number
  readonly specs: Specs
  /** The training, and its groups, that the weights are packed for. */
  readonly packed: { as: string | undefined }
}

export interface Training extends WorkerTraining, TrainedModel {
  readonly client: SessionClient
  /** Where the worker keeps the vectors of the weight groups. */
  readonly groupSpace: number
  readonly cache: SessionCache
}

/** How the weights that have a gradient move. */
export interface Updates {
  /** Before the run that gives the gradients, whose memory grows by what this lets go of. */
  readonly prepare: (training: Training, trained: ReadonlyArray<string>) => Effect.Effect<unknown, EngineError>
  readonly update: (
    training: Training,
    trained: ReadonlyArray<string>,
    scalars: HostTensors
  ) => Effect.Effect<void, EngineError>
}

export const momentumOf = ({ optimizer }: Training) => optimizer.momentum ?? 1

export const ask = (training: Training, command: Command) => training.client.ask(training.program.name, command)
