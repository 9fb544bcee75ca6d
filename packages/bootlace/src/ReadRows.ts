/** Stored rows of runs, a bounded number at a time. */
import { ArtifactStore, rowIdHex, rowIdsOf } from "@bootlace/data"
import type { StoredRows } from "@bootlace/graph"
import { makeReportStore } from "@bootlace/report"
import { openStoredRows } from "@bootlace/runtime"
import type { StoredTable } from "@bootlace/runtime"
import * as Effect from "effect/Effect"

type Batch = Effect.Success<ReturnType<StoredTable["rows"]>>

/** The report's view of the store at hand. */
export const reportStore = Effect.gen(function* () {
  const store = yield* ArtifactStore
  return makeReportStore(store, (stored, columns) =>
    Effect.provideService(openStoredRows(stored, columns), ArtifactStore, store)
  )
})

/** Rows are read this many at a time. */
const slice = 65_536

/** Visits every row: its id as hex, and where it stands in the batch that was read. */
export const eachRow = Effect.fnUntraced(function* (
  stored: StoredRows,
  columns: ReadonlyArray<string>,
  visit: (row_id: string, batch: Batch, row: number) => void
) {
  const table = yield* openStoredRows(stored, columns)
  for (let start = 0; start < table.numRows; start += slice) {
    const size = Math.min(slice, table.numRows - start)
    const batch = yield* table.rows(Int32Array.from({ length: size }, (_, i) => start + i))
    const ids = rowIdsOf(batch)
    for (let row = 0; row < size; row++) visit(rowIdHex(ids, row), batch, row)
  }
})
