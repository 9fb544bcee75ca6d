/** What a run leaves behind for people and programs: counts, times, metrics and where its artifacts are. Written by the runtime, read by reports. */
import type { ArtifactType, Columns } from "./ColumnType.ts"
import type { Axes } from "./Plan.ts"

export interface NodeRecord {
  readonly op: string
  /** For maps and routes rows_in = rows_out + rejected, rows_out counting all ports. */
  readonly rows_in: number
  readonly rows_out: number
  readonly rejected: number
  /** Nothing of this node was computed in this run. */
  readonly cached: boolean
  readonly seconds: number
  /** sha256 of the node's output, over all its shards. */
  readonly artifact: string
  /** Rows by port, for nodes that start row sets. */
  readonly ports: Readonly<Record<string, number>>
}

/** Where the stored rows of a row set are: store keys in shard order, and what columns they hold (`node.column` of maps included). */
export interface StoredRows {
  readonly node: string
  readonly port: string
  readonly keys: ReadonlyArray<string>
  readonly columns: Columns
}

export interface StoredArtifact {
  readonly node: string
  readonly output: string
  readonly type: ArtifactType
  readonly key: string
}

/** Enough of the plan to draw it. */
export interface DrawnNode {
  readonly id: string
  readonly op: string
  readonly kind: string
  readonly axes: Readonly<Record<string, string>>
  readonly inputs: ReadonlyArray<{ readonly input: string; readonly from: string; readonly port: string }>
}

export interface RunRecord {
  readonly run: string
  readonly pipeline: string
  readonly plan: string
  readonly status: "running" | "done" | "failed"
  readonly seed: number
  /** The matrix, in the file's order; runs of the first release have none. */
  readonly axes?: Axes
  readonly engine: string
  /** ISO 8601 in UTC. */
  readonly started: string
  readonly seconds: number
  readonly nodes: Readonly<Record<string, NodeRecord>>
  /** `node.metric`, e.g. `recall[data=both].image_to_text_r1`. */
  readonly metrics: Readonly<Record<string, number>>
  readonly rows: ReadonlyArray<StoredRows>
  readonly artifacts: ReadonlyArray<StoredArtifact>
  readonly graph: ReadonlyArray<DrawnNode>
  readonly error?: string
}
