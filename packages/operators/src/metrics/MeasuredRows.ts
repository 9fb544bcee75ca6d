/** A fold that keeps its rows and measures them all at the end: what every metric operator is. */
import type { ArtifactWriter, Batch, Fold, Metrics, NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { collectRows } from "../CollectedRows.ts"
import { onRows } from "../RowValues.ts"
import { noRows, writeMetrics } from "./MetricsArtifact.ts"

export interface Measured {
  readonly metrics: Metrics
  readonly examples?: ReadonlyArray<object>
}

interface Measure<R> {
  readonly node: string
  readonly writer: ArtifactWriter
  /** Throws where a batch's values can't be measured, so that the shard at fault is named. */
  readonly check?: (batch: Batch) => void
  readonly measure: (rows: Batch) => Effect.Effect<Measured, NodeError, R>
}

export const measuredRows = <R = never>({ node, writer, check, measure }: Measure<R>): Fold<R> => {
  const rows = collectRows()
  return {
    step: (_, batch) =>
      onRows(node, () => {
        check?.(batch)
        rows.add(batch)
      }),
    snapshot: onRows(node, rows.snapshot),
    restore: (files) => onRows(node, () => rows.restore(files)),
    finish: Effect.gen(function* () {
      const all = rows.all()
      if (all === undefined) return yield* noRows(node)
      const { metrics, examples } = yield* measure(all)
      return yield* writeMetrics(node, writer, metrics, examples)
    })
  }
}
