/**
 * ITM: image-text matching. Whether a text describes an image, by the image-grounded encoder.
 *
 *   image_tokens [N, D]   text utf8   ->   match_probability  float32 in [0, 1]
 *   inside Train, with similarity     ->   itm_loss over 3 rows a pair: itself, and one hard negative either way
 *
 * The text starts with [ENC] instead of [CLS]. Li et al. 2022, sections 3.1 and 3.2.
 */
import { gumbels, hardNegatives, matching, randomKey } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { withFirstToken } from "./tensor/FirstToken.ts"
import { dropout, dropoutFeeds, withDropout } from "./tensor/TextDropout.ts"
import { batchSize, tensorMap } from "./tensor/tensorMap.ts"

export const ITM = tensorMap({
  name: "ITM",
  version: 2,
  description: "Probability that a text describes its image; inside Train BLIP's matching loss.",
  config: Schema.Struct({
    batch_size: batchSize,
    negatives: Schema.Literals(["hard", "random"])
      .annotate({ description: "in Train: negatives drawn by similarity, or evenly" })
      .pipe(Schema.withDecodingDefaultKey(Effect.succeed("hard" as const))),
    dropout
  }),
  model: ["blip"],
  inputs: { image_tokens: "image_tokens", text: "text" },
  outputs: { match_probability: "score" },
  sharesImages: true,
  program:
    ({ model, tokenizer }) =>
    (weights, { image_tokens, text }) => {
      const logits_B2 = model.matchLogits(weights, image_tokens, withFirstToken(text, tokenizer.enc))
      const probabilities_B2 = tf.softmax(logits_B2, -1)
      return { match_probability: tf.reshape(tf.slice(probabilities_B2, [0, 1], [-1, 1]), [-1]) }
    },
  training: {
    inputs: { image_tokens: "image_tokens", text: "text", similarity: "similarity" },
    outputs: { itm_loss: "loss" },
    feeds: ({ config }, at) => {
      const { seed, node, step, batch_size: B } = at
      const noise = (direction: string) => ({
        shape: [B, B],
        dtype: "float32" as const,
        data: gumbels(randomKey(seed, node, "negatives", direction, step), B * B)
      })
      return { gumbel_i2t: noise("i2t"), gumbel_t2i: noise("t2i"), ...dropoutFeeds(config, at) }
    },
    program:
      ({ model, config, tokenizer }) =>
      ({ weights, inputs: { image_tokens, text, similarity }, feeds, isTwin }) => {
        const even = config.negatives === "random"
        const negatives = hardNegatives({
          similarity_i2t: even ? tf.zerosLike(similarity.i2t) : similarity.i2t,
          similarity_t2i: even ? tf.zerosLike(similarity.t2i) : similarity.t2i,
          gumbel_i2t: feeds.gumbel_i2t!,
          gumbel_t2i: feeds.gumbel_t2i!
        })
        const first = withFirstToken(withDropout(text, { model, config }, { feeds, isTwin }), tokenizer.enc)
        const { itm_loss, match_accuracy } = matching(model, weights, image_tokens, first, negatives)
        return { columns: { itm_loss }, metrics: { match_accuracy } }
      }
  }
})
