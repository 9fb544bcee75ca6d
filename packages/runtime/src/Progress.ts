/** Progress: what happens in a run, as it happens, for bars on a terminal and `--events`. */
import { Context, Effect, Layer, PubSub } from "effect"
import type { Metrics } from "@bootlace/graph"

export interface ProgressEvent {
  readonly node: string
  /** Rows for nodes of a chain and folds, steps for a train. */
  readonly done: number
  /** Known for nodes whose input is stored, and for trains. */
  readonly total?: number
  readonly rows: number
  /** Spent in the node so far. */
  readonly seconds: number
  /** `cached`, `running` or `done`; a warning otherwise. */
  readonly message: string
  readonly metrics: Metrics
}

/** Subscribe to it before the run starts; without a subscriber events go nowhere. */
export class Progress extends Context.Service<Progress, PubSub.PubSub<ProgressEvent>>()("@bootlace/runtime/Progress") {
  static readonly layer: Layer.Layer<Progress> = Layer.effect(Progress, PubSub.unbounded<ProgressEvent>())
}

export const publish = (event: ProgressEvent): Effect.Effect<void, never, Progress> =>
  Effect.flatMap(Progress, (hub) => PubSub.publish(hub, event))
