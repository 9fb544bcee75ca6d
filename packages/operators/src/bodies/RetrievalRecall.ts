/** RetrievalRecall at work: all rows measured at the end, a few queries at a time. */
import type { FoldBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { embeddedPairs } from "../metrics/EmbeddedPairs.ts"
import type { EmbeddedPairs } from "../metrics/EmbeddedPairs.ts"
import { measuredRows } from "../metrics/MeasuredRows.ts"
import { retrievalMetrics } from "../metrics/RetrievalMetrics.ts"
import { scoresAgainst } from "../metrics/Similarity.ts"
import { onRows } from "../RowValues.ts"

const measure = (all: EmbeddedPairs) =>
  retrievalMetrics(
    all,
    (image) => scoresAgainst(all.images, all.texts, all.rows, image),
    (text) => scoresAgainst(all.texts, all.images, all.rows, text)
  )

export const open: FoldBody<unknown, never>["open"] = ({ node, writer }) =>
  Effect.sync(() =>
    measuredRows({
      node,
      writer,
      measure: (rows) =>
        Effect.flatMap(
          onRows(node, () => embeddedPairs(node, rows)),
          measure
        )
    })
  )
