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
import { columnOf, rowIdHex, rowIdsOf, textsOf } from "@bootlace/data"
import { NodeError, Operator } from "@bootlace/graph"
import type { Batch, Routed } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { rewriteFilter } from "./filter/rewriteFilter.ts"
import { topShare } from "./Quantile.ts"
import { onRows, scoresIn } from "./RowValues.ts"
import { readThreshold } from "./Threshold.ts"
import type { Threshold } from "./Threshold.ts"

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
type Rule = typeof Rule.Type

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

/** Why a row is rejected; undefined keeps it. */
interface Verdict {
  readonly reason: string
  readonly score?: number
}
type Judge = (row: number) => Verdict | undefined

/** As few digits as tell the score from the bound: 0.12, but 0.4999 beside 0.5. */
const shown = (score: number, bound: number): string => {
  for (let digits = 2; digits < 9; digits++) {
    const short = Number(score.toPrecision(digits))
    if (short !== bound || score === bound) return String(short)
  }
  return String(score)
}

/** Scores are float32: a bound of 0.9 must keep a score of float32 0.9. */
const boundJudge = (column: string, scores: Float32Array, { at_least, at_most }: Rule): Judge => {
  const low = at_least === undefined ? Number.NEGATIVE_INFINITY : Math.fround(at_least)
  const high = at_most === undefined ? Number.POSITIVE_INFINITY : Math.fround(at_most)
  return (row) => {
    const score = scores[row]!
    if (score < low) return { reason: `${column} ${shown(score, low)} < ${at_least}`, score }
    return score > high ? { reason: `${column} ${shown(score, high)} > ${at_most}`, score } : undefined
  }
}

const topJudge = (column: string, scores: Float32Array, ids: Uint8Array, { value, row_id, top }: Threshold): Judge => {
  return (row) => {
    const score = scores[row]!
    if (value === null || row_id === null) return { reason: `${column}: the top ${top} of the rows is none`, score }
    if (score > value || (score === value && rowIdHex(ids, row) <= row_id)) return undefined
    const reason =
      score === value
        ? `${column} ${shown(score, value)} ties with the last of the top ${top}, a later row id`
        : `${column} ${shown(score, value)} < ${shown(value, score)}, the last of the top ${top}`
    return { reason, score }
  }
}

const equalsJudge = (column: string, texts: ReadonlyArray<string | null>, equals: string): Judge => {
  return (row) =>
    texts[row] === equals
      ? undefined
      : { reason: `${column} ${JSON.stringify(texts[row])} is not ${JSON.stringify(equals)}` }
}

/** The judges of one column's rule. */
const judgesOf = (
  node: string,
  batch: Batch,
  [column, rule]: readonly [string, Rule],
  threshold: Threshold | undefined
): ReadonlyArray<Judge> => {
  if (batch.getChild(column) === null) {
    const wired = batch.schema.fields.map((field) => field.name).filter((name) => name !== "row_id")
    throw new NodeError({
      code: "R224",
      node,
      detail: `keep names ${column}, but the columns wired are ${wired.join(", ") || "none"}`,
      hint: `wire ${column} under in:`
    })
  }
  if (rule.equals !== undefined) return [equalsJudge(column, textsOf(columnOf(batch, column)), rule.equals)]
  const scores = scoresIn(node, batch, column)
  const bounds = boundJudge(column, scores, rule)
  if (rule.top === undefined) return [bounds]
  if (threshold === undefined) {
    throw new NodeError({ code: "R224", node, detail: `${column}: top needs a threshold, and none is wired` })
  }
  return [bounds, topJudge(column, scores, rowIdsOf(batch), threshold)]
}

const route = (batch: Batch, judges: ReadonlyArray<Judge>): Routed => {
  const ports = new Uint8Array(batch.numRows)
  const reasons: Array<{ readonly row: number } & Verdict> = []
  for (let row = 0; row < batch.numRows; row++) {
    for (const judge of judges) {
      const verdict = judge(row)
      if (verdict === undefined) continue
      ports[row] = 1
      reasons.push({ row, ...verdict })
      break
    }
  }
  return { ports, reasons }
}

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
  body: {
    open: ({ node, config: { keep }, artifacts }) =>
      Effect.gen(function* () {
        if (artifacts.model !== undefined) {
          const detail = "a model is wired, but keep names neither match_probability nor itc_score"
          return yield* new NodeError({ code: "R224", node, detail })
        }
        const threshold = artifacts.threshold && (yield* readThreshold(node, artifacts.threshold))
        return (batch) =>
          onRows(node, () =>
            route(
              batch,
              Object.entries(keep).flatMap((each) => judgesOf(node, batch, each, threshold))
            )
          )
      })
  }
})
