/** Which rows of two runs' row sets are the same, by row id: a row keeps its id as long as its source and its way are the same. */
import type { RunRecord, StoredRows } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { eachRow } from "./ReadRows.ts"

export interface RowsChange {
  readonly node: string
  readonly port: string
  /** Rows; undefined where a run has no such row set. */
  readonly a: number | undefined
  readonly b: number | undefined
  /** Rows that only B has, and rows that only A has. */
  readonly added: number
  readonly removed: number
}

const idsOf = Effect.fnUntraced(function* (stored: StoredRows | undefined) {
  const ids = new Set<string>()
  if (stored !== undefined) yield* eachRow(stored, [], (row_id) => ids.add(row_id))
  return ids
})

const countOutside = (ids: ReadonlySet<string>, others: ReadonlySet<string>): number => {
  let count = 0
  for (const id of ids) if (!others.has(id)) count++
  return count
}

const nameOf = ({ node, port }: StoredRows): string => `${node}.${port}`

/** Every row set of either run, in the order of A's. Rows that are the same artifacts are not read. */
export const compareRows = Effect.fnUntraced(function* (a: RunRecord, b: RunRecord) {
  const find = (record: RunRecord, name: string) => record.rows.find((stored) => nameOf(stored) === name)
  const names = new Set([...a.rows, ...b.rows].map(nameOf))
  return yield* Effect.forEach(names, (name) =>
    Effect.gen(function* () {
      const [before, after] = [find(a, name), find(b, name)]
      const { node, port } = (before ?? after)!
      const count = (record: RunRecord): number | undefined => record.nodes[node]?.ports[port]
      const place = { node, port, a: before && count(a), b: after && count(b) }
      if (before?.keys.join() === after?.keys.join()) return { ...place, added: 0, removed: 0 } satisfies RowsChange
      const [old, now] = [yield* idsOf(before), yield* idsOf(after)]
      const change: RowsChange = { ...place, added: countOutside(now, old), removed: countOutside(old, now) }
      return change
    })
  )
})
