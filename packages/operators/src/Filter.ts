/**
 * Filter: rows that keep all rules go to `kept`, the others to `rejected` with the first rule that they broke.
 *
 *   any inputs        passed on under their names; the columns that `keep` names are among them
 *   threshold         artifact, for a `top` rule; Filter makes its own Quantile when none is wired
 *   model             BLIP (or CLIP for itc_score): scores `image` and `text` first
 *   kept, rejected    the same columns
 *
 *   keep: { match_probability: { at_least: 0.5 } }     keep: { itc_score: { top: 0.3 } }     keep: { split: { equals: dev } }
 *
 * With a model this is the filter of CapFilt (Li et al. 2022, section 3.3).
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Schema from "effect/Schema"
import { rewriteFilter } from "./filter/rewriteFilter.ts"
import { topShare } from "./Quantile.ts"

const Rule = Schema.Struct({
  at_least: Schema.optionalKey(Schema.Finite.annotate({ description: "scores from here up are kept" })),
  at_most: Schema.optionalKey(Schema.Finite.annotate({ description: "scores up to here are kept" })),
  top: Schema.optionalKey(topShare),
  equals: Schema.optionalKey(Schema.String.annotate({ description: "texts that are kept" }))
}).check(
  Schema.makeFilter((rule: { readonly equals?: string }) => {
    const bounds = Object.keys(rule).length
    if (bounds === 0) return "expected at_least, at_most, top or equals"
    return rule.equals === undefined || bounds === 1 || "equals is for texts and stands alone"
  })
)
export type Rule = typeof Rule.Type

const keepChecks = Schema.makeFilter((keep: Readonly<Record<string, { readonly top?: number }>>) => {
  if (Object.keys(keep).length === 0) return "expected a column and its rule"
  const tops = Object.keys(keep).filter((column) => keep[column]!.top !== undefined)
  return tops.length < 2 || `top stands at ${tops.join(" and ")}: one Filter has one threshold, use a second Filter`
})

const config = Schema.Struct({
  keep: Schema.Record(Schema.String, Rule)
    .check(keepChecks)
    .annotate({ description: "rules by column; a row is kept when it keeps all of them" })
})
export type Config = typeof config.Type

export const Filter = Operator.route({
  name: "Filter",
  version: 1,
  description: "Keeps the rows whose scores keep its rules; the others leave with a reason.",
  config,
  inputs: {
    threshold: { artifact: "threshold", optional: true },
    model: { artifact: "model", optional: true }
  },
  openInputs: true,
  ports: ["kept", "rejected"],
  rewrite: rewriteFilter,
  check: ({ keep }, wired) => {
    const columns = Object.keys(wired).filter((name) => name !== "threshold" && name !== "model")
    const known = wired["model"] === undefined ? columns : [...columns, "match_probability", "itc_score"]
    const unknown = Object.keys(keep).filter((name) => !columns.includes(name))
    const message = `no column of this name is wired: ${known.join(", ") || "none"}`
    const idle = { path: ["keep"], message: "a model is wired, but no rule asks for match_probability or itc_score" }
    const mistakes = unknown.map((name) => ({ path: ["keep", name], message, known }))
    return wired["model"] === undefined || mistakes.length > 0 ? mistakes : [idle]
  },
  body: { open: openLater(async () => (await import("./bodies/Filter.ts")).open) }
})
