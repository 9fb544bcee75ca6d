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
import { openLater, Operator } from "@bootlace/graph"
import { noConfig } from "./NoConfig.ts"

export const RetrievalRecall = Operator.fold({
  name: "RetrievalRecall",
  version: 1,
  description: "Recall at 1, 5 and 10 of texts by image and of images by text.",
  config: noConfig,
  inputs: { image_embeds: "embedding", text_embeds: "embedding", group: { column: "text", optional: true } },
  outputs: { metrics: "metrics" },
  body: { open: openLater(async () => (await import("./bodies/RetrievalRecall.ts")).open) }
})
