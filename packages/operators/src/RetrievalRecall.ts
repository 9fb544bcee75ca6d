/**
 * RetrievalRecall: how often the right text is among an image's K nearest, and the right image among a text's.
 *
 *   image_embeds  [E]   of the row's image
 *   text_embeds   [E]   of the row's text
 *   group         text, optional: rows of one group are right answers to each other (several captions of an image, doubles)
 *   metrics       image_to_text_r1, _r5, _r10, text_to_image_r1, _r5, _r10: shares in [0, 1]; mean_recall: of all six
 *
 * Embeddings are compared by cosine. Equal scores count with their expected recall (metrics/Recall.ts). Scores are computed
 * for a few queries at a time: memory grows with the rows, not with their square. Radford et al. 2021, table 13.
 */
import { columnOf, floatsOf, rowIdHex, rowIdsOf } from "@bootlace/data"
import { NodeError, Operator } from "@bootlace/graph"
import type { Batch } from "@bootlace/graph"
import { Effect } from "effect"
import { measuredRows } from "./metrics/MeasuredRows.ts"
import { rankOf, recallAt } from "./metrics/Recall.ts"
import { nearest, scoresAgainst, unitRows } from "./metrics/Similarity.ts"
import { noConfig } from "./NoConfig.ts"
import { onRows, textsIn } from "./RowValues.ts"

const cutoffs = [1, 5, 10] as const
/** How many images go into examples.jsonl, and how many texts of each. */
const exampleImages = 24
const exampleTexts = 5

interface Embedded {
  readonly rows: number
  readonly ids: Uint8Array
  readonly images: Float32Array
  readonly texts: Float32Array
  /** The number of the row's group. */
  readonly groups: Int32Array
}

const numbered = (names: ReadonlyArray<string>): Int32Array => {
  const numbers = new Map<string, number>()
  return Int32Array.from(names, (name) => {
    const number = numbers.get(name) ?? numbers.size
    numbers.set(name, number)
    return number
  })
}

const embedded = (node: string, batch: Batch): Embedded => {
  const rows = batch.numRows
  const read = (column: string): Float32Array => {
    const values = floatsOf(columnOf(batch, column))
    const odd = values.findIndex((value) => !Number.isFinite(value))
    if (odd < 0) return unitRows(values, values.length / rows)
    const row = Math.floor((odd * rows) / values.length)
    const detail = `${column} of row ${rowIdHex(rowIdsOf(batch), row)} has the value ${values[odd]}`
    throw new NodeError({ code: "R221", node, row, detail })
  }
  const images = read("image_embeds")
  const texts = read("text_embeds")
  if (images.length !== texts.length) {
    const detail = `image_embeds have ${images.length / rows} values a row and text_embeds ${texts.length / rows}`
    throw new NodeError({ code: "R225", node, detail, hint: "wire both from encoders of the same model" })
  }
  const alone = batch.getChild("group") === null
  const groups = alone ? Int32Array.from({ length: rows }, (_, row) => row) : numbered(textsIn(node, batch, "group"))
  return { rows, ids: rowIdsOf(batch), images, texts, groups }
}

/** Mean recall at each cutoff of `queries` among `answers`; `seen` is told every query's scores. */
const recalls = (
  { rows, groups }: Embedded,
  queries: Float32Array,
  answers: Float32Array,
  seen: (query: number, scores: Float64Array) => void
) =>
  Effect.gen(function* () {
    const sums = cutoffs.map(() => 0)
    for (let query = 0; query < rows; query++) {
      const scores = scoresAgainst(queries, answers, rows, query)
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

const measure = Effect.fnUntraced(function* (all: Embedded) {
  const examples: Array<object> = []
  const toText = yield* recalls(all, all.images, all.texts, (image, scores) => {
    if (image >= exampleImages) return
    const texts = nearest(scores, exampleTexts).map((row) => ({ row_id: rowIdHex(all.ids, row), score: scores[row] }))
    examples.push({ row_id: rowIdHex(all.ids, image), nearest: texts })
  })
  const toImage = yield* recalls(all, all.texts, all.images, () => undefined)
  const named = (direction: string, values: ReadonlyArray<number>) =>
    values.map((value, i) => [`${direction}_r${cutoffs[i]}`, value] as const)
  const mean = [...toText, ...toImage].reduce((sum, value) => sum + value, 0) / (2 * cutoffs.length)
  const metrics = Object.fromEntries([
    ...named("image_to_text", toText),
    ...named("text_to_image", toImage),
    ["mean_recall", mean] as const
  ])
  return { metrics, examples }
})

export const RetrievalRecall = Operator.fold({
  name: "RetrievalRecall",
  version: 1,
  description: "Recall at 1, 5 and 10 of texts by image and of images by text.",
  config: noConfig,
  inputs: { image_embeds: "embedding", text_embeds: "embedding", group: { column: "text", optional: true } },
  outputs: { metrics: "metrics" },
  body: {
    open: ({ node, writer }) =>
      Effect.sync(() =>
        measuredRows({
          node,
          writer,
          measure: (rows) =>
            Effect.flatMap(
              onRows(node, () => embedded(node, rows)),
              measure
            )
        })
      )
  }
})
