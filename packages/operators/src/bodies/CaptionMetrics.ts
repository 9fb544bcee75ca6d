/** CaptionMetrics at work: the measures over all rows, and the first captions as examples. */
import { columnOf, rowIdHex, rowIdsOf, textsOf } from "@bootlace/data"
import type { Batch, FoldBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { bleu } from "../metrics/Bleu.ts"
import { ciderD, documentFrequency } from "../metrics/Cider.ts"
import { measuredRows } from "../metrics/MeasuredRows.ts"
import { rougeL } from "../metrics/RougeL.ts"
import { tokenF1 } from "../metrics/TokenF1.ts"
import { words } from "../metrics/Words.ts"
import type { Judged } from "../metrics/Words.ts"
import { onRows, textsIn } from "../RowValues.ts"

/** How many rows go into examples.jsonl. */
const exampleRows = 24

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** Every row's caption and the references of its group; and each group's references once. */
const judgedRows = (node: string, batch: Batch) => {
  const references = textsIn(node, batch, "reference").map(words)
  const alone = batch.getChild("group") === null
  const groupOf = alone ? references.map((_, row) => String(row)) : textsIn(node, batch, "group")
  const images = new Map<string, Array<ReadonlyArray<string>>>()
  references.forEach((reference, row) => {
    const group = groupOf[row]!
    const known = images.get(group)
    if (known === undefined) images.set(group, [reference])
    else known.push(reference)
  })
  const captions = textsOf(columnOf(batch, "caption"))
  const corpus = captions.map((caption, row): Judged => ({
    caption: words(caption ?? ""),
    references: images.get(groupOf[row]!)!
  }))
  return { corpus, images: [...images.values()] }
}

const measure = (node: string, batch: Batch) => {
  const { corpus, images } = judgedRows(node, batch)
  const cider = ciderD(corpus, documentFrequency(images), images.length)
  const metrics = {
    bleu_4: bleu(corpus),
    rouge_l: mean(corpus.map(rougeL)),
    cider_d: mean(cider),
    token_f1: mean(corpus.map(tokenF1))
  }
  const ids = rowIdsOf(batch)
  const examples = cider.slice(0, exampleRows).map((score, row) => ({
    row_id: rowIdHex(ids, row),
    caption: columnOf(batch, "caption").get(row) as string | null,
    reference: columnOf(batch, "reference").get(row) as string,
    cider_d: score
  }))
  return { metrics, examples }
}

export const open: FoldBody<unknown, never>["open"] = ({ node, writer }) =>
  Effect.sync(() =>
    measuredRows({
      node,
      writer,
      check: (batch) => textsIn(node, batch, "reference"),
      measure: (rows) => onRows(node, () => measure(node, rows))
    })
  )
