/** What the report asks of the artifact store: rows as plain values, files of artifacts, pictures small enough for a page. */
import * as Schema from "effect/Schema"
import type { Effect } from "effect"
import type { StoredArtifact, StoredRows } from "@bootlace/graph"

export class ReportError extends Schema.TaggedError<ReportError>()("ReportError", {
  /** What the page lacks because of it. */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** text, score or label, flag, an image's bytes, an embedding; undefined where the row has none. */
export type Value = string | number | boolean | Uint8Array | Float32Array | undefined
/** By column name; `row_id` as hex is always there. */
export type Row = Readonly<Record<string, Value>>

export interface ReportStore {
  /** How many rows have all of these columns. */
  readonly count: (stored: StoredRows, columns: ReadonlyArray<string>) => Effect.Effect<number, ReportError>
  /** The rows that have all of these columns, or those of them at `pick`. */
  readonly rows: (
    stored: StoredRows,
    columns: ReadonlyArray<string>,
    pick?: ReadonlyArray<number>
  ) => Effect.Effect<ReadonlyArray<Row>, ReportError>
  /** The JSON lines of a side file of artifacts (`ledger.jsonl`, `rejected.jsonl`); none where there is no such file. */
  readonly lines: (
    keys: ReadonlyArray<string>,
    name: string
  ) => Effect.Effect<ReadonlyArray<Readonly<Record<string, unknown>>>, ReportError>
  /** One file of an artifact; undefined where it has none of that name. */
  readonly file: (artifact: StoredArtifact, name: string) => Effect.Effect<Uint8Array | undefined, ReportError>
  /** A data URI of at most some ten KiB; undefined for what is no readable image. */
  readonly picture: (bytes: Uint8Array) => Effect.Effect<string | undefined>
}
