/** A training whose tensors are in the session worker: where they are, and how they are asked for. */
import type { Semaphore } from "effect"
import type { Specs } from "../Program.ts"
import type { WorkerTraining } from "../WorkerTrainer.ts"
import type { Command } from "./Protocol.ts"
import type { SessionCache } from "./SessionCache.ts"
import type { SessionClient } from "./SessionClient.ts"

export interface TrainedModel {
  readonly client: SessionClient
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

export const ask = (training: Training, command: Command) => training.client.ask(training.program.name, command)
