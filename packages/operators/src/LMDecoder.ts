/**
 * LMDecoder: language modelling. How likely a caption is, given its image, by the image-grounded decoder.
 *
 *   image_tokens [N, D]   text utf8   ->   caption_log_likelihood  float32, mean over the caption's tokens, in nats
 *   inside Train                      ->   lm_loss, cross-entropy of the next token with label smoothing
 *
 * The text starts with [DEC] instead of [CLS]; its end token is predicted too. Li et al. 2022, sections 3.1 and 3.2.
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { dropout } from "./tensor/DropoutConfig.ts"
import { prompt } from "./tensor/PromptConfig.ts"
import { batchSize, deferredMap } from "./tensor/tensorMap.ts"

const config = Schema.Struct({
  batch_size: batchSize,
  label_smoothing: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
    .annotate({ description: "in Train: share of the target spread evenly over the vocabulary" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.1))),
  prompt,
  dropout
})
export type Config = typeof config.Type

export const LMDecoder = deferredMap({
  name: "LMDecoder",
  version: 2,
  description: "Log-likelihood of a caption given its image; inside Train BLIP's language modelling loss.",
  config,
  model: ["blip"],
  inputs: { image_tokens: "image_tokens", text: "text" },
  outputs: { caption_log_likelihood: "score" },
  sharesImages: true,
  training: { inputs: { image_tokens: "image_tokens", text: "text" }, outputs: { lm_loss: "loss" } },
  programs: () => import("./bodies/LMDecoder.ts")
})
