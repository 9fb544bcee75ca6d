/**
 * TaskOutput: what a task over a shard commits: one artifact per port (a map has the one port `columns`).
 *
 *   00000.arrow ...   row_id and the stored columns
 *   rejected.jsonl    {row_id, shard, row, code, reason}: the quarantine, in the first port's artifact
 *   ledger.jsonl      {row_id, reason, score}: why a route's rows went to this port, which isn't its first
 *
 * Files are cut by rows and their sizes, so equal rows are equal files however they came. Counts stand in the meta data.
 */
import {
  canonicalJson,
  encodeShard,
  makeShardSplitter,
  rowIdHex,
  rowIdsOf,
  schemaHash,
  selectColumns
} from "@bootlace/data"
import type { CommittedArtifact, DataError, Draft, ShardSplitter } from "@bootlace/data"
import type { Batch } from "@bootlace/graph"
import * as Effect from "effect/Effect"

/** Of one port of one task. `rows_in` and `rejected` are the whole task's. */
export interface Counts {
  readonly rows_in: number
  readonly rows: number
  readonly rejected: number
}

export const countsOf = (artifact: CommittedArtifact): Counts => artifact.meta["counts"] as Counts

export interface RejectedRow {
  readonly row_id: string
  readonly shard: string
  readonly row: number
  readonly code: string
  readonly reason: string
}
export interface LedgerRow {
  readonly row_id: string
  readonly reason: string
  readonly score?: number
}

export const rejectedFile = "rejected.jsonl"
export const ledgerFile = "ledger.jsonl"

const linesOf = (rows: ReadonlyArray<unknown>): Uint8Array =>
  new TextEncoder().encode(rows.map((row) => `${canonicalJson(row)}\n`).join(""))

interface Port {
  readonly draft: Draft
  readonly names: Readonly<Record<string, string>>
  readonly splitter: ShardSplitter
  readonly ledger: Array<LedgerRow>
  rows: number
  files: number
}

export class TaskOutput {
  rowsIn = 0
  rejected: Array<RejectedRow> = []
  readonly #ports: ReadonlyMap<string, Port>

  /** `ports`: the columns to store, by port, and where. */
  constructor(ports: Readonly<Record<string, { readonly columns: ReadonlyArray<string>; readonly draft: Draft }>>) {
    const entries = Object.entries(ports).map(([name, { columns, draft }]): [string, Port] => {
      const names = Object.fromEntries(["row_id", ...columns].map((column) => [column, column]))
      return [name, { draft, names, splitter: makeShardSplitter(), ledger: [], rows: 0, files: 0 }]
    })
    this.#ports = new Map(entries)
  }

  /** The batch may have more columns than are stored. */
  add(name: string, batch: Batch, ledger: ReadonlyArray<LedgerRow> = []): Effect.Effect<void, DataError> {
    if (batch.numRows === 0) return Effect.void
    const port = this.#ports.get(name)!
    port.rows += batch.numRows
    port.ledger.push(...ledger)
    const full = port.splitter.push(selectColumns(batch, port.names))
    return Effect.forEach(full, (shard) => writeShard(port, shard), { discard: true })
  }

  get rowsOut(): number {
    return [...this.#ports.values()].reduce((sum, port) => sum + port.rows, 0)
  }

  /** The artifacts by port. */
  get commit(): Effect.Effect<Readonly<Record<string, CommittedArtifact>>, DataError> {
    const commits = [...this.#ports].map(([name, port], i) =>
      Effect.map(commitPort(port, this.rowsIn, this.rejected, i === 0), (artifact) => [name, artifact] as const)
    )
    return Effect.map(Effect.all(commits), Object.fromEntries)
  }
}

const commitPort = Effect.fnUntraced(function* (
  port: Port,
  rows_in: number,
  rejected: ReadonlyArray<RejectedRow>,
  isFirst: boolean
) {
  const last = port.splitter.finish()
  if (last !== undefined && last.numRows > 0) yield* writeShard(port, last)
  if (isFirst && rejected.length > 0) yield* port.draft.write(rejectedFile, linesOf(rejected))
  if (port.ledger.length > 0) yield* port.draft.write(ledgerFile, linesOf(port.ledger))
  const counts: Counts = { rows_in, rows: port.rows, rejected: rejected.length }
  return yield* port.draft.commit({ type: "rows", counts })
})

const writeShard = (port: Port, shard: Batch): Effect.Effect<void, DataError> =>
  port.draft.write(`${String(port.files++).padStart(5, "0")}.arrow`, encodeShard([shard]), {
    rows: shard.numRows,
    schema: schemaHash(shard.schema)
  })

/** Row ids of a batch as text. */
export const idTexts = (batch: Batch): ReadonlyArray<string> => {
  const ids = rowIdsOf(batch)
  return Array.from({ length: batch.numRows }, (_, row) => rowIdHex(ids, row))
}
