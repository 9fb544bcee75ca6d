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
import { crossEntropy } from "../Composites.ts"
import { dim } from "../Layers.ts"

export interface LanguageModelingOutputs {
  readonly lm_loss: Tensor
  /** Share of scored tokens that had the largest logit. */
  readonly token_accuracy: Tensor
}

interface ScoredTokens {
  readonly logits: Tensor
  readonly input_ids: Tensor
  readonly target_mask: Tensor
}

/** Logits [R, V], the token that each row should give [R], and whether it counts [R]; R = B (T - 1). */
const shifted = ({ logits, input_ids, target_mask }: ScoredTokens) => {
  const [B, T, V] = [dim(logits, 0), dim(logits, 1), dim(logits, 2)]
  const rows = B * (T - 1)
  return {
    logits_RV: tf.reshape(tf.slice(logits, [0, 0, 0], [-1, T - 1, -1]), [rows, V]),
    targets_R: tf.reshape(tf.slice(input_ids, [0, 1], [-1, T - 1]), [rows]),
    scored_R: tf.cast(tf.reshape(tf.slice(target_mask, [0, 1], [-1, T - 1]), [rows]), "float32")
  }
}

const oneHot = (ids_R: Tensor, vocab_size: number): Tensor => tf.oneHot(ids_R, vocab_size, 1, 0, "float32")

/**
 * Rows [B, T] one place further on, [B T]; the last of each row, which nothing follows, is 0. So the logits need not be cut: a copy of
 * [B, T - 1, V] costs more than T's last rows.
 */
const following = (x_BT: Tensor): Tensor => {
  const [B, T] = [dim(x_BT, 0), dim(x_BT, 1)]
  const last = tf.zeros([B, 1], x_BT.dtype as "int32")
  return tf.reshape(tf.concat([tf.slice(x_BT, [0, 1], [-1, T - 1]), last], 1), [B * T])
}

export const languageModeling = (at: ScoredTokens & { readonly label_smoothing: number }): LanguageModelingOutputs => {
  const logits_RV = tf.reshape(at.logits, [-1, dim(at.logits, 2)])
  const targets_R = following(at.input_ids)
  const scored_R = tf.cast(following(at.target_mask), "float32")
  const losses_R = crossEntropy(logits_RV, targets_R, at.label_smoothing)
  const count = tf.maximum(tf.sum(scored_R), 1)
  const right_R = tf.cast(tf.equal(tf.argMax(logits_RV, -1), targets_R), "float32")
  return {
    lm_loss: tf.div(tf.sum(tf.mul(losses_R, scored_R)), count),
    token_accuracy: tf.div(tf.sum(tf.mul(right_R, scored_R)), count)
  }
}

/** [B, T - 1]: natural log of each next token's probability, 0 where it isn't scored. */
export const tokenLogLikelihoods = (at: ScoredTokens): Tensor => {
  const { logits_RV, targets_R, scored_R } = shifted(at)
  const chosen_R = tf.sum(tf.mul(tf.logSoftmax(logits_RV, -1), oneHot(targets_R, dim(logits_RV, 1))), -1)
  return tf.reshape(tf.mul(chosen_R, scored_R), [dim(at.logits, 0), dim(at.logits, 1) - 1])
}

/** [B]: mean log-probability of a caption's scored tokens, in nats. */
export const captionLogLikelihood = (at: ScoredTokens): Tensor => {
  const B = dim(at.logits, 0)
  const scored_BT = tf.reshape(shifted(at).scored_R, [B, -1])
  return tf.div(tf.sum(tokenLogLikelihoods(at), 1), tf.maximum(tf.sum(scored_BT, 1), 1))
}
