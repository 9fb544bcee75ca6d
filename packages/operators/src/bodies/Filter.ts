/** Filter at work: every rule judges a row, the first one broken sends it to `rejected`. */
import { columnOf, rowIdHex, rowIdsOf, textsOf } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Batch, RouteBody, Routed } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Config, Rule } from "../Filter.ts"
import { onRows, scoresIn } from "../RowValues.ts"
import { readThreshold } from "../Threshold.ts"
import type { Threshold } from "../Threshold.ts"

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

export const open: RouteBody<Config, never>["open"] = Effect.fnUntraced(function* ({
  node,
  config: { keep },
  artifacts
}) {
  if (artifacts["model"] !== undefined) {
    const detail = "a model is wired, but keep names neither match_probability nor itc_score"
    return yield* new NodeError({ code: "R224", node, detail })
  }
  const threshold = artifacts["threshold"] && (yield* readThreshold(node, artifacts["threshold"]))
  return (batch: Batch) =>
    onRows(node, () =>
      route(
        batch,
        Object.entries(keep).flatMap((each) => judgesOf(node, batch, each, threshold))
      )
    )
})
