/** Quantile at work: the rows are kept and sorted at the end. */
import { rowIdHex, rowIdsOf } from "@bootlace/data"
import type { FoldBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { collectRows } from "../CollectedRows.ts"
import type { Config } from "../Quantile.ts"
import { onRows, scoresIn } from "../RowValues.ts"
import { encodeThreshold } from "../Threshold.ts"
import type { Threshold } from "../Threshold.ts"

/** Where the first `top` of the rows ends, rows sorted by score and then by id. */
const thresholdOf = (column: string, top: number, scores: Float32Array, ids: Uint8Array): Threshold => {
  const order = Array.from(scores, (score, row) => ({ score, id: rowIdHex(ids, row) })).sort(
    (a, b) => b.score - a.score || (a.id < b.id ? -1 : 1)
  )
  const last = order[Math.round(top * order.length) - 1]
  return { column, top, value: last?.score ?? null, row_id: last?.id ?? null }
}

export const open: FoldBody<Config, never>["open"] = ({ node, config: { top, column }, writer }) =>
  Effect.sync(() => {
    const rows = collectRows()
    return {
      step: (_, batch) =>
        onRows(node, () => {
          scoresIn(node, batch, "score")
          rows.add(batch)
        }),
      snapshot: onRows(node, rows.snapshot),
      restore: (files) => onRows(node, () => rows.restore(files)),
      finish: Effect.gen(function* () {
        const threshold = yield* onRows(node, () => {
          const all = rows.all()
          const scores = all === undefined ? new Float32Array() : scoresIn(node, all, "score")
          return thresholdOf(column, top, scores, all === undefined ? new Uint8Array() : rowIdsOf(all))
        })
        const { name, bytes } = encodeThreshold(threshold)
        yield* writer.write(name, bytes)
        return threshold.value === null ? {} : { threshold: threshold.value }
      })
    }
  })
