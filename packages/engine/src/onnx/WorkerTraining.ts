/** A training whose tensors are in the session worker: where they are, and how they are asked for. */
import { Effect } from "effect"
import type { Semaphore } from "effect"
import { pick } from "../CheckTensors.ts"
import type { Optimizer, Specs, TrainingProgram } from "../Program.ts"
import type { TrainingSpecs } from "../TrainingChecks.ts"
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

/** One training and where its tensors are. */
export interface Training extends TrainedModel {
  readonly program: TrainingProgram
  readonly optimizer: Optimizer
  readonly own: TrainingSpecs
  /** Where the worker keeps moments, gradients, twin and state. */
  readonly ownSpace: number
  /** Where it keeps the vectors of the weight groups. */
  readonly groupSpace: number
  readonly cache: SessionCache
  step: number
}

export const ask = (training: Training, command: Command) => training.client.ask(training.program.name, command)

export const read = (training: Training, space: number, prefix: string, names: ReadonlyArray<string>) =>
  Effect.flatMap(ask(training, { _tag: "Read", space, prefix }), (all) => pick(training.program.name, all, names))
