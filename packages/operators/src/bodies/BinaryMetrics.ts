/** BinaryMetrics at work: all rows measured at the end, as a whole and by subset. */
import type { Batch, FoldBody, Metrics } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Config } from "../BinaryMetrics.ts"
import { measuredRows } from "../metrics/MeasuredRows.ts"
import { atThreshold, averagePrecision, rocAuc } from "../metrics/Ranking.ts"
import type { Scored } from "../metrics/Ranking.ts"
import { flagsIn, onRows, scoresIn, textsIn } from "../RowValues.ts"

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

export const open: FoldBody<Config, never>["open"] = ({ node, config: { threshold }, writer }) =>
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
