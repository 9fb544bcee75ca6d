/**
 * BinaryMetrics: how well a score tells flagged rows from the others.
 *
 *   score    float32, higher for rows that should be flagged
 *   flag     bool, the truth
 *   subset   text, optional: every number once more for each value, e.g. `auc_dev`
 *   metrics  auc (ties count one half), average_precision, precision, recall and f1 of `score >= threshold`, rows, positives;
 *            auc and average_precision are left out where all rows are of one kind
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const config = Schema.Struct({
  threshold: Schema.Finite.annotate({ description: "where precision, recall and F1 cut" }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed(0.5))
  )
})
export type Config = typeof config.Type

export const BinaryMetrics = Operator.fold({
  name: "BinaryMetrics",
  version: 1,
  description:
    "Measures how well a score tells flagged rows from the others: AUC, average precision, precision and recall.",
  config,
  inputs: { score: "score", flag: "flag", subset: { column: "text", optional: true } },
  outputs: { metrics: "metrics" },
  body: { open: openLater(async () => (await import("./bodies/BinaryMetrics.ts")).open) }
})
