/**
 * CaptionMetrics: captions against what people wrote.
 *
 *   caption    text, judged; an empty one scores 0
 *   reference  text
 *   group      text, optional: every caption is judged against the references of all rows of its group
 *   metrics    bleu_4 (corpus), rouge_l, cider_d (0 to 10, as in the paper), token_f1
 *
 * As the COCO caption evaluation computes them (metrics/), on words as metrics/Words.ts splits them; CIDEr-D counts
 * documents over the groups. With groups of equal size, all rows of a group having the same caption, these are COCO's own
 * numbers (COCO prints CIDEr and BLEU times 100 by custom).
 */
import { openLater, Operator } from "@bootlace/graph"
import { noConfig } from "./NoConfig.ts"

export const CaptionMetrics = Operator.fold({
  name: "CaptionMetrics",
  version: 1,
  description: "BLEU-4, ROUGE-L, CIDEr-D and word F1 of captions against references.",
  config: noConfig,
  inputs: { caption: "text", reference: "text", group: { column: "text", optional: true } },
  outputs: { metrics: "metrics" },
  body: { open: openLater(async () => (await import("./bodies/CaptionMetrics.ts")).open) }
})
