/**
 * How the kinds of operators run: the contract between an operator and the runtime that drives it.
 *
 * A body is opened once per task inside a scope and then called batch by batch. It is pure on its batch: the same rows
 * give the same bytes however they are batched, restarted or scheduled. Randomness hangs on (seed, node, row id or step).
 * Batches are Arrow record batches whose columns are named as the operator's inputs, plus `row_id` first.
 */
import type { RecordBatch, Vector } from "apache-arrow"
import type { Effect, Scope, Stream } from "effect"
import type { ArtifactType } from "./ColumnType.ts"
import type { NodeError } from "./NodeError.ts"
import type { TrainingGraph } from "./Plan.ts"

export type Batch = RecordBatch
export type Files = Readonly<Record<string, Uint8Array>>
export type Metrics = Readonly<Record<string, number>>

/** A committed artifact, read-only. */
export interface Artifact {
  readonly type: ArtifactType
  /** sha256 of its manifest: its identity. */
  readonly digest: string
  readonly files: ReadonlyArray<string>
  /** The bytes are the caller's own. */
  readonly read: (name: string) => Effect.Effect<Uint8Array, NodeError>
}

/** Where a fold or train puts the files of the artifact it makes; committed by the runtime after `finish`. */
export interface ArtifactWriter {
  /** Parts are written one after the other, so that a large file need not be joined in memory. */
  readonly write: (
    name: string,
    bytes: Uint8Array | ReadonlyArray<Uint8Array>,
    rows?: number
  ) => Effect.Effect<void, NodeError>
}

export interface OpenContext<Config = unknown> {
  readonly node: string
  readonly config: Config
  readonly seed: number
  /** Wired artifacts by input name, `model` and `init` among them. */
  readonly artifacts: Readonly<Record<string, Artifact>>
  /** The pipeline file's folder: relative paths in a config start here. */
  readonly directory: string
  /** A map's columns that are stored or that another node reads; it may leave out the others. Absent: all. */
  readonly wanted?: ReadonlyArray<string>
}

/** A row that can't be used: counted, kept aside with its reason. `row` is its index in the batch given. */
export interface Rejected {
  readonly row: number
  readonly code: string
  readonly reason: string
}

type Opened<A, R> = Effect.Effect<A, NodeError, R | Scope.Scope>

export interface Shard {
  /** Content hash; with the row's index it makes the row's id. */
  readonly key: string
  readonly rows?: number
}
export interface SourceBatch {
  readonly batch: Batch
  /** Rows of the shard that could not be read; `row` is the index in the shard. */
  readonly rejected: ReadonlyArray<Rejected>
}
export interface Source<R> {
  /** sha256 over contents, never over paths: the source's identity in cache keys. */
  readonly content: string
  readonly shards: ReadonlyArray<Shard>
  readonly read: (shard: number) => Stream.Stream<SourceBatch, NodeError, R>
  /** Where a person finds a row of a shard: a file's name and the place in it. Asked afterwards, never part of an artifact. */
  readonly place?: (shard: number, row: number) => string
}
export interface SourceBody<Config, R> {
  readonly open: (context: OpenContext<Config>) => Opened<Source<R>, R>
}

export interface Mapped {
  /** The declared outputs, for the rows that were not rejected, in order. */
  readonly columns: Readonly<Record<string, Vector>>
  readonly rejected: ReadonlyArray<Rejected>
}
export interface MapBody<Config, R> {
  readonly open: (context: OpenContext<Config>) => Opened<(batch: Batch) => Effect.Effect<Mapped, NodeError, R>, R>
  /** Rows per call: the runtime regroups rows inside a shard to this size, so that bits don't depend on record batches. */
  readonly batchSize?: (config: Config) => number
}

export interface Routed {
  /** For every row of the batch the index of its port in the declared order. */
  readonly ports: Uint8Array
  /** Why a row went where it went, for the ledger: one entry per row of a port other than the first. */
  readonly reasons: ReadonlyArray<{ readonly row: number; readonly reason: string; readonly score?: number }>
}
export interface RouteBody<Config, R> {
  readonly open: (context: OpenContext<Config>) => Opened<(batch: Batch) => Effect.Effect<Routed, NodeError, R>, R>
}

export interface Expanded {
  /** For every row out the index of its parent in the batch given, ascending. */
  readonly parents: Int32Array
  readonly columns: Readonly<Record<string, Vector>>
  readonly rejected: ReadonlyArray<Rejected>
}
export interface ExpandBody<Config, R> {
  readonly open: (context: OpenContext<Config>) => Opened<(batch: Batch) => Effect.Effect<Expanded, NodeError, R>, R>
  readonly batchSize?: (config: Config) => number
}

export interface Fold<R> {
  /** `port` is the input's name for stream and list inputs, `rows` for plain columns. */
  readonly step: (port: string, batch: Batch) => Effect.Effect<void, NodeError, R>
  readonly snapshot: Effect.Effect<Files, NodeError, R>
  readonly restore: (files: Files) => Effect.Effect<void, NodeError, R>
  /** Writes the artifact's last files; the returned numbers show in the run's metrics. */
  readonly finish: Effect.Effect<Metrics, NodeError, R>
}
export interface FoldBody<Config, R> {
  /**
   * sha256 over the files that it reads beside its inputs: it stands in the key in place of the config's `path`. Undefined where
   * the config names none.
   */
  readonly content?: (
    context: Omit<OpenContext<Config>, "artifacts">
  ) => Effect.Effect<string | undefined, NodeError, R>
  readonly open: (context: OpenContext<Config> & { readonly writer: ArtifactWriter }) => Opened<Fold<R>, R>
}

/** Committed rows with random access. */
export interface Dataset {
  readonly digest: string
  readonly numRows: number
  /** The rows at these indices, in this order, repeats allowed. */
  readonly rows: (indices: Int32Array) => Effect.Effect<Batch, NodeError>
}
export interface Training<R> {
  readonly steps: number
  /** Steps 0, 1, ...: a pure function of the state and the step's number. Returns losses, learning rate and the like. */
  readonly step: (step: number) => Effect.Effect<Metrics, NodeError, R>
  readonly snapshot: Effect.Effect<Files, NodeError, R>
  readonly restore: (files: Files) => Effect.Effect<void, NodeError, R>
  readonly finish: Effect.Effect<Metrics, NodeError, R>
}
export interface TrainBody<Config, R> {
  readonly open: (
    context: OpenContext<Config> & {
      readonly writer: ArtifactWriter
      /** By input name, each concatenated from its wires in declared order. */
      readonly datasets: Readonly<Record<string, Dataset>>
      readonly graph: TrainingGraph
    }
  ) => Opened<Training<R>, R>
  readonly checkpointEvery: (config: Config) => number
}
