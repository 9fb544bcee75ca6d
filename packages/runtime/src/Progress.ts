/** Progress: what happens in a run, as it happens, for bars on a terminal and `--events`. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import type { Metrics } from "@bootlace/graph"

export interface ProgressEvent {
  readonly node: string
  /** Rows; steps of a train. */
  readonly done: number
  /** Of `done`, where it is known beforehand. */
  readonly total?: number
  /** Spent in the node so far. */
  readonly seconds: number
  /** `started` comes before the first `running`; every node ends with `finished` or `cached`, or the run fails. */
  readonly message: "started" | "running" | "finished" | "cached"
  readonly metrics: Metrics
}

/** Subscribe to it before the run starts; without a subscriber events go nowhere. */
export class Progress extends Context.Service<Progress, PubSub.PubSub<ProgressEvent>>()("@bootlace/runtime/Progress") {
  static readonly layer: Layer.Layer<Progress> = Layer.effect(Progress, PubSub.unbounded<ProgressEvent>())
}
