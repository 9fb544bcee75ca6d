/**
 * ITM: image-text matching. Whether a text describes an image, by the image-grounded encoder.
 *
 *   image_tokens [N, D]   text utf8   ->   match_probability  float32 in [0, 1]
 *   inside Train, with similarity     ->   itm_loss over 3 rows a pair: itself, and one hard negative either way
 *
 * With `same_image: positive` a text of the same image is no negative of it, as in BLIP's finetuning for retrieval.
 * The text starts with [ENC] instead of [CLS]. Li et al. 2022, sections 3.1 and 3.2.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { dropout } from "./tensor/DropoutConfig.ts"
import { sameImage } from "./tensor/SameImageConfig.ts"
import { batchSize, deferredMap } from "./tensor/tensorMap.ts"

const config = Schema.Struct({
  batch_size: batchSize,
  negatives: Schema.Literals(["hard", "random"])
    .annotate({ description: "in Train: negatives drawn by similarity, or evenly" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("hard" as const))),
  same_image: sameImage,
  dropout
})
export type Config = typeof config.Type

export const ITM = deferredMap({
  name: "ITM",
  version: 3,
  description: "Probability that a text describes its image; inside Train BLIP's matching loss.",
  config,
  model: ["blip"],
  inputs: { image_tokens: "image_tokens", text: "text" },
  outputs: { match_probability: "score" },
  sharesImages: true,
  training: {
    inputs: { image_tokens: "image_tokens", text: "text", similarity: "similarity" },
    outputs: { itm_loss: "loss" }
  },
  programs: () => import("./bodies/ITM.ts")
})
