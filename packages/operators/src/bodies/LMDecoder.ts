/** LMDecoder at work: the image-grounded decoder's log-likelihoods, and in Train the loss. */
import { languageModeling } from "@bootlace/models"
import type { BlipModel, Weights } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import type { Config } from "../LMDecoder.ts"
import { decoderText } from "../tensor/Prompt.ts"
import { dropoutFeeds, withDropout } from "../tensor/TextDropout.ts"
import type { ProgramContext, TensorsOf, TrainingLife } from "../tensor/TensorOperator.ts"

type Inputs = { readonly image_tokens: "image_tokens"; readonly text: "text" }

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

export const program =
  ({ model, config, tokenizer }: ProgramContext<Config, BlipModel>) =>
  (weights: Weights, { image_tokens, text }: TensorsOf<Inputs>) => {
    const given = decoderText(text, tokenizer, config.prompt)
    const logits_BTV = model.decodeLogits(weights, image_tokens, given)
    return { caption_log_likelihood: meanLogLikelihood(logits_BTV, given) }
  }

export const training: TrainingLife<Config, Inputs, { readonly lm_loss: "loss" }, BlipModel> = {
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
