/** The checked plan: every wire resolved, matrix and rewrites done. What the runtime runs and the report draws. */
import type { ArtifactType, ColumnType, Columns } from "./ColumnType.ts"
import type { BadRowPolicy } from "./NodeSpec.ts"
import type { AnyOperator } from "./Operator.ts"

export type Wire =
  | {
      readonly _tag: "Column"
      readonly node: string
      readonly port?: string
      readonly column: string
      readonly type: ColumnType
    }
  | { readonly _tag: "Stream"; readonly node: string; readonly port: string; readonly columns: Columns }
  | { readonly _tag: "Artifact"; readonly node: string; readonly output: string; readonly type: ArtifactType }

/** Where rows begin: `node.port` of a source, route, expand or union. */
export type RowSet = string

export interface PlanNode {
  /** `web`, `web_clean/itm`, `retrain[data=both]`. */
  readonly id: string
  readonly operator: AnyOperator
  /** Decoded by the operator's schema, defaults filled in. */
  readonly config: unknown
  /** The same as canonical JSON values: what cache keys and the plan's hash see. */
  readonly encodedConfig: unknown
  readonly inputs: Readonly<Record<string, ReadonlyArray<Wire>>>
  /** The row set of its column inputs: every map, route and expand has one; a fold where its columns share one. */
  readonly rowSet?: RowSet
  /** Row sets it starts, by port, with their columns. */
  readonly ports: Readonly<Record<string, Columns>>
  /** Columns it appends to `rowSet` (maps). */
  readonly columns: Columns
  readonly artifacts: Readonly<Record<string, ArtifactType>>
  /** Its place in the matrix; empty outside. */
  readonly axes: Readonly<Record<string, string>>
  /** What its random numbers hang on: the plan's seed, or its place on the axis `seed`. */
  readonly seed: number
  readonly training?: TrainingGraph
  readonly persist: boolean
  readonly on_bad_row: BadRowPolicy
}

/** The graph inside a Train node. Wires to `pairs.image` name the Train node's own stream inputs. */
export interface TrainingGraph {
  readonly nodes: ReadonlyArray<PlanNode>
  readonly minimize: ReadonlyArray<{ readonly node: string; readonly output: string; readonly weight: number }>
}

/** By axis; empty without a matrix. */
export type Axes = Readonly<Record<string, ReadonlyArray<string>>>

export interface Plan {
  readonly name: string
  readonly seed: number
  /** The matrix: each axis with its variants' ids, in the file's order. */
  readonly axes: Axes
  /** Topological: a node comes after everything it reads. */
  readonly nodes: ReadonlyArray<PlanNode>
  /** sha256 of the plan's meaning: operators, versions, encoded configs and wires; not of spelling, order, comments or params. */
  readonly hash: string
}
