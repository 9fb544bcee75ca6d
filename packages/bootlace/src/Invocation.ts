/** The options of a command, as handlers get them: plain values, nothing of the parser. */
import type { Executor, OnnxPrecision, Precision } from "@bootlace/engine"

/** What engines compute matrix products in: not each in each. */
export type RunPrecision = Precision | OnnxPrecision

export interface PipelineOptions {
  readonly file: string
  /** `name=value` of params and matrix axes. */
  readonly set: ReadonlyArray<string>
  readonly seed: number | undefined
  /** Names of the nodes that are wanted, with all they read; empty: the whole pipeline. */
  readonly only: ReadonlyArray<string>
  /** Refuse code of the project: no bootlace.config.ts. */
  readonly noConfig: boolean
}

export interface RunOptions extends PipelineOptions {
  readonly threads: number | undefined
  readonly engine: Executor["name"]
  readonly precision: RunPrecision
  readonly store: string
  readonly json: boolean
  readonly events: string | undefined
  readonly report: string | undefined
  /** Say where the time went. */
  readonly profile: boolean
  /** What was typed, to say how to resume. */
  readonly command: string
}

export interface TryOptions {
  readonly image: string
  /** RUN:NODE. */
  readonly model: string
  readonly store: string
  readonly engine: Executor["name"]
  readonly json: boolean
}
