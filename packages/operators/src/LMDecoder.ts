/**
 * LMDecoder: language modelling. How likely a caption is, given its image, by the image-grounded decoder.
 *
 *   image_tokens [N, D]   text utf8   ->   caption_log_likelihood  float32, mean over the caption's tokens, in nats
 *   inside Train                      ->   lm_loss, cross-entropy of the next token with label smoothing
 *
 * The text starts with [DEC] instead of [CLS]; its end token is predicted too. Li et al. 2022, sections 3.1 and 3.2.
 */
import { languageModeling } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decoderText, prompt } from "./tensor/Prompt.ts"
import { dropout, dropoutFeeds, withDropout } from "./tensor/TextDropout.ts"
import { batchSize, tensorMap } from "./tensor/tensorMap.ts"

/** [B]: mean over a text's predicted tokens of the log-probability that the logits before give them. */
const meanLogLikelihood = (
  logits_BTV: tf.Tensor,
  { input_ids, target_mask }: ReturnType<typeof decoderText>
): tf.Tensor => {
  const [B, T, V] = logits_BTV.shape as [number, number, number]
  const predicted = tf.logSoftmax(tf.slice(logits_BTV, [0, 0, 0], [-1, T - 1, -1]), -1)
  const targets = tf.oneHot(tf.reshape(tf.slice(input_ids, [0, 1], [-1, -1]), [-1]), V, 1, 0, "float32")
  const tokens_BT = tf.sum(tf.mul(predicted, tf.reshape(targets, [B, T - 1, V])), -1)
  const counted_BT = tf.cast(tf.slice(target_mask, [0, 1], [-1, -1]), "float32")
  return tf.div(tf.sum(tf.mul(tokens_BT, counted_BT), -1), tf.sum(counted_BT, -1))
}

export const LMDecoder = tensorMap({
  name: "LMDecoder",
  version: 2,
  description: "Log-likelihood of a caption given its image; inside Train BLIP's language modelling loss.",
  config: Schema.Struct({
    batch_size: batchSize,
    label_smoothing: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
      .annotate({ description: "in Train: share of the target spread evenly over the vocabulary" })
      .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.1))),
    prompt,
    dropout
  }),
  model: ["blip"],
  inputs: { image_tokens: "image_tokens", text: "text" },
  outputs: { caption_log_likelihood: "score" },
  sharesImages: true,
  program:
    ({ model, config, tokenizer }) =>
    (weights, { image_tokens, text }) => {
      const given = decoderText(text, tokenizer, config.prompt)
      const logits_BTV = model.decodeLogits(weights, image_tokens, given)
      return { caption_log_likelihood: meanLogLikelihood(logits_BTV, given) }
    },
  training: {
    inputs: { image_tokens: "image_tokens", text: "text" },
    outputs: { lm_loss: "loss" },
    feeds: ({ config }, step) => dropoutFeeds(config, step),
    program:
      ({ model, config, tokenizer }) =>
      ({ weights, inputs: { image_tokens, text }, ...scope }) => {
        const { label_smoothing, prompt } = config
        const given = decoderText(withDropout(text, { model, config }, scope), tokenizer, prompt)
        const logits = model.decodeLogits(weights, image_tokens, given)
        const { input_ids, target_mask } = given
        const { lm_loss, token_accuracy } = languageModeling({ logits, input_ids, target_mask, label_smoothing })
        return { columns: { lm_loss }, metrics: { token_accuracy } }
      }
  }
})
