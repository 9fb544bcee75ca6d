/**
 * Quantile: the score at which the highest share of the rows ends.
 *
 *   score      float32
 *   threshold  artifact: round(top x rows) rows are above it, ties taken in the order of row ids
 *
 * What `keep: { score: { top: 0.3 } }` of Filter expands to.
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

export const topShare = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 })).annotate({
  description: "share of the rows with the highest scores"
})

const config = Schema.Struct({
  top: topShare,
  column: Schema.String.annotate({ description: "what the score is called in the artifact" }).pipe(
    Schema.withDecodingDefaultKey(Effect.succeed("score"))
  )
})
export type Config = typeof config.Type

export const Quantile = Operator.fold({
  name: "Quantile",
  version: 1,
  description: "Finds the score at which the highest share of the rows ends.",
  config,
  inputs: { score: "score" },
  outputs: { threshold: "threshold" },
  body: { open: openLater(async () => (await import("./bodies/Quantile.ts")).open) }
})
