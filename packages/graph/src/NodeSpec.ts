/** A node as an author spells it, in YAML or TypeScript, before it is checked: names and raw configs. */

/** `node`, `node.port`, `node.column` or `node.port.column`. */
export type Reference = string

export interface NodeSpec {
  readonly op: string
  /** `model:` and `init:` are spelled beside `in:` and live here too, as inputs of these names. */
  readonly in: Readonly<Record<string, Reference | ReadonlyArray<Reference>>>
  /** Everything else the node says: the operator's config, undecoded. */
  readonly config: Readonly<Record<string, unknown>>
  /** Train only. */
  readonly graph?: Readonly<Record<string, NodeSpec>>
  /** Train only: `node.loss` references, or weights by reference. */
  readonly minimize?: ReadonlyArray<Reference> | Readonly<Record<Reference, number>>
  /** Keep the node's columns as artifacts even when nothing asks for them. */
  readonly persist?: boolean
  readonly on_bad_row?: BadRowPolicy
}

/** `reject` puts bad rows aside; `stop` fails the run at the first; more than `budget` (a share of the rows) ends the run with exit 3. */
export interface BadRowPolicy {
  readonly action: "reject" | "stop"
  readonly budget: number
}

/** An initial model: `architecture`, `preset` or inline `config`, and where its vocabulary comes from. Planned as a node of op `InitModel`. */
export type ModelSpec = Readonly<Record<string, unknown>>

export interface PipelineSpec {
  readonly version: 1
  readonly name: string
  readonly seed: number
  readonly nodes: Readonly<Record<string, NodeSpec>>
}
