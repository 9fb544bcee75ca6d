/**
 * RerankedRecall: RetrievalRecall after a closer look: ITM scores the k_test candidates that ITC ranks highest.
 *
 *   image_embeds, text_embeds  [E]   of the row's image and text, by the same model
 *   text                       utf8
 *   group                      text, optional: rows of one group are right answers to each other
 *   image                      the rows' images, read after all rows above are known
 *   metrics                    as RetrievalRecall's; k_test: how many candidates a query had
 *
 * score of a candidate = cosine of its embeddings + ITM's logit of a match, the text starting with [ENC]; what is no
 * candidate stands behind all of them. As BLIP's released evaluation does it (Li et al. 2022, section 4.2; Li et al. 2021,
 * section 4). Images pass by once: their tokens live for one micro-batch, and memory grows with rows times k_test.
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { batchSize } from "./tensor/tensorMap.ts"

const config = Schema.Struct({
  k_test: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4096 }))
    .annotate({ description: "candidates of a query; BLIP takes 256 for COCO and 128 for Flickr30K" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(128))),
  batch_size: batchSize
})

export type Config = typeof config.Type

export const RerankedRecall = Operator.fold({
  name: "RerankedRecall",
  version: 4,
  description: "Recall at 1, 5 and 10 both ways, ITC's nearest re-scored by ITM.",
  config,
  model: ["blip"],
  tensor: true,
  inputs: {
    image_embeds: "embedding",
    text_embeds: "embedding",
    text: "text",
    group: { column: "text", optional: true },
    // A list is a port of its own, drained after the columns above.
    image: { column: "image", many: true }
  },
  outputs: { metrics: "metrics" },
  body: { open: openLater(async () => (await import("./bodies/RerankedRecall.ts")).open) }
})
