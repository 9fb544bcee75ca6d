/**
 * BinaryMetrics: how well a score tells flagged rows from the others.
 *
 *   score    float32, higher for rows that should be flagged
 *   flag     bool, the truth
 *   subset   text, optional: every number once more for each value, e.g. `auc_dev`
 *   metrics  auc (ties count one half), average_precision, precision, recall and f1 of `score >= threshold`, rows, positives;
 *            auc and average_precision are left out where all rows are of one kind
 */
import { Operator } from "@bootlace/graph"
import type { Batch, Metrics } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { measuredRows } from "./metrics/MeasuredRows.ts"
import { atThreshold, averagePrecision, rocAuc } from "./metrics/Ranking.ts"
import type { Scored } from "./metrics/Ranking.ts"
import { flagsIn, onRows, scoresIn, textsIn } from "./RowValues.ts"

const measure = (scored: Scored, threshold: number, name: string): Metrics => {
  const rows = scored.flags.length
  const positives = Array.from(scored.flags).filter(Boolean).length
  const bothKinds = positives > 0 && positives < rows
  const found = {
    ...(bothKinds ? { auc: rocAuc(scored), average_precision: averagePrecision(scored) } : {}),
    ...atThreshold(scored, Math.fround(threshold)),
    rows,
    positives
  }
  return Object.fromEntries(Object.entries(found).map(([metric, value]) => [`${metric}${name}`, value]))
}

const measureAll = (node: string, all: Batch, threshold: number): Metrics => {
  const scores = scoresIn(node, all, "score")
  const flags = flagsIn(node, all, "flag")
  const whole = measure({ scores, flags }, threshold, "")
  if (all.getChild("subset") === null) return whole
  const subsets = textsIn(node, all, "subset")
  const members = Map.groupBy(scores.keys(), (row) => subsets[row]!)
  const parts = [...members].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return Object.assign(
    whole,
    ...parts.map(([subset, rows]) => {
      const part = { scores: rows.map((row) => scores[row]!), flags: rows.map((row) => flags[row]!) }
      return measure(part, threshold, `_${subset}`)
    })
  )
}

export const BinaryMetrics = Operator.fold({
  name: "BinaryMetrics",
  version: 1,
  description:
    "Measures how well a score tells flagged rows from the others: AUC, average precision, precision and recall.",
  config: Schema.Struct({
    threshold: Schema.Finite.annotate({ description: "where precision, recall and F1 cut" }).pipe(
      Schema.withDecodingDefaultKey(Effect.succeed(0.5))
    )
  }),
  inputs: { score: "score", flag: "flag", subset: { column: "text", optional: true } },
  outputs: { metrics: "metrics" },
  body: {
    open: ({ node, config: { threshold }, writer }) =>
      Effect.sync(() =>
        measuredRows({
          node,
          writer,
          check: (batch) => {
            scoresIn(node, batch, "score")
            flagsIn(node, batch, "flag")
          },
          measure: (rows) => onRows(node, () => ({ metrics: measureAll(node, rows, threshold) }))
        })
      )
  }
})
