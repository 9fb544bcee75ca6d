/** The options of a command, as handlers get them: plain values, nothing of the parser. */
import type { Executor, Precision } from "@bootlace/engine"

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
  readonly precision: Precision
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
