/** The nodes that are checked: drafts after operators were looked up and rewrites done. */
import type { BadRowPolicy, NodeSpec } from "../NodeSpec.ts"
import type { AnyOperator } from "../Operator.ts"
import type { Decoded } from "./Config.ts"
import type { Place, Where } from "./Draft.ts"

/** One `node.port.column` as written, and where. */
export interface Ref {
  readonly text: string
  readonly where: Where
}

export interface NodeInput {
  readonly refs: ReadonlyArray<Ref>
  /** Written as a list. */
  readonly list: boolean
  /** Where its name stands. */
  readonly key: Where
}

export interface Node {
  readonly id: string
  /** Without axes: `web_clean/itm`. */
  readonly base: string
  readonly axes: Readonly<Record<string, string>>
  readonly seed: number
  readonly operator: AnyOperator
  readonly inputs: Readonly<Record<string, NodeInput>>
  /** Undefined: in error, already reported. */
  readonly decoded: Decoded | undefined
  /** Inputs written as config, already reported. */
  readonly misplaced: ReadonlyArray<string>
  readonly graph: NodeSpec["graph"]
  readonly minimize: NodeSpec["minimize"]
  readonly persist: boolean
  readonly on_bad_row: BadRowPolicy
  readonly place: Place
}
