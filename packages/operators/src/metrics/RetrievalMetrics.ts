/**
 * Recall both ways, from whatever scores a query's answers.
 *
 *   image_to_text_r1, _r5, _r10, text_to_image_r1, _r5, _r10: shares in [0, 1]; mean_recall: of all six
 */
import { rowIdHex } from "@bootlace/data"
import * as Effect from "effect/Effect"
import type { EmbeddedPairs } from "./EmbeddedPairs.ts"
import type { Measured } from "./MeasuredRows.ts"
import { rankOf, recallAt } from "./Recall.ts"
import { nearest } from "./Similarity.ts"

const cutoffs = [1, 5, 10] as const
/** How many images go into examples.jsonl, and how many texts of each. */
const exampleImages = 24
const exampleTexts = 5

/** The scores of all rows as answers to the query of this row; -Infinity: not scored at all. */
type Scores = (query: number) => Float64Array

/** Mean recall at each cutoff; `seen` is told every query's scores. */
const recalls = (
  { rows, groups }: EmbeddedPairs,
  scoresOf: Scores,
  seen: (query: number, scores: Float64Array) => void
) =>
  Effect.gen(function* () {
    const sums = cutoffs.map(() => 0)
    for (let query = 0; query < rows; query++) {
      const scores = scoresOf(query)
      const rank = rankOf(scores, (answer) => groups[answer] === groups[query])
      cutoffs.forEach((k, i) => {
        sums[i]! += recallAt(rank, k)
      })
      seen(query, scores)
      // A long evaluation must not hold up progress, signals or other nodes.
      if (query % 64 === 63) yield* Effect.yieldNow
    }
    return sums.map((sum) => sum / rows)
  })

/** `textScores` of an image, `imageScores` of a text. */
export const retrievalMetrics = Effect.fnUntraced(function* (
  all: EmbeddedPairs,
  textScores: Scores,
  imageScores: Scores
) {
  const examples: Array<object> = []
  const toText = yield* recalls(all, textScores, (image, scores) => {
    if (image >= exampleImages) return
    const scored = nearest(scores, exampleTexts).filter((row) => Number.isFinite(scores[row]))
    const texts = scored.map((row) => ({ row_id: rowIdHex(all.ids, row), score: scores[row] }))
    examples.push({ row_id: rowIdHex(all.ids, image), nearest: texts })
  })
  const toImage = yield* recalls(all, imageScores, () => undefined)
  const named = (direction: string, values: ReadonlyArray<number>) =>
    values.map((value, i) => [`${direction}_r${cutoffs[i]}`, value] as const)
  const mean = [...toText, ...toImage].reduce((sum, value) => sum + value, 0) / (2 * cutoffs.length)
  const metrics = Object.fromEntries([
    ...named("image_to_text", toText),
    ...named("text_to_image", toImage),
    ["mean_recall", mean] as const
  ])
  return { metrics, examples } satisfies Measured
})
