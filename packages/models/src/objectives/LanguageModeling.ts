/**
 * LM: the next token of the caption, given the image (Li et al. 2022, section 3.2).
 *
 *   logits [B, T, V]   input_ids [B, T]   target_mask [B, T]   ->   lm_loss []
 *
 * The logits at t are scored against the token at t + 1 where `target_mask` is 1 there: the attention mask leaves padding
 * out, zeros over a prompt leave the prompt out. Label smoothing spreads its share evenly over the vocabulary; the mean is
 * over the scored tokens, as torch's cross_entropy with ignore_index computes it.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { dim } from "../Layers.ts"

export interface LanguageModelingOutputs {
  readonly lm_loss: Tensor
  /** Share of scored tokens that had the largest logit. */
  readonly token_accuracy: Tensor
}

export const languageModeling = (at: {
  readonly logits: Tensor
  readonly input_ids: Tensor
  readonly target_mask: Tensor
  readonly label_smoothing: number
}): LanguageModelingOutputs => {
  const [B, T, V] = [dim(at.logits, 0), dim(at.logits, 1), dim(at.logits, 2)]
  const rows = B * (T - 1)
  const logits_RV = tf.reshape(tf.slice(at.logits, [0, 0, 0], [-1, T - 1, -1]), [rows, V])
  const targets_R = tf.reshape(tf.slice(at.input_ids, [0, 1], [-1, T - 1]), [rows])
  const scored_R = tf.cast(tf.reshape(tf.slice(at.target_mask, [0, 1], [-1, T - 1]), [rows]), "float32")
  const oneHot_RV = tf.oneHot(targets_R, V, 1, 0, "float32")
  const smooth_RV = tf.add(tf.mul(oneHot_RV, 1 - at.label_smoothing), at.label_smoothing / V)
  const losses_R = tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits_RV, -1), smooth_RV), -1))
  const count = tf.maximum(tf.sum(scored_R), 1)
  const right_R = tf.cast(tf.equal(tf.argMax(logits_RV, -1), targets_R), "float32")
  return {
    lm_loss: tf.div(tf.sum(tf.mul(losses_R, scored_R)), count),
    token_accuracy: tf.div(tf.sum(tf.mul(right_R, scored_R)), count)
  }
}
