/**
 * The sigmoid loss over a batch (Zhai et al. 2023, algorithm 1): every image with every text is a yes-or-no question.
 *
 *   image_embeds, text_embeds [B, E]   scale, bias []   ->   itc_loss []
 *   similarity_i2t [B, B] = scale * unit(image_embeds) @ unit(text_embeds)^T + bias;   similarity_t2i is its transpose
 *   itc_loss = -1/B * sum over all pairs of log sigmoid(similarity), its sign turned for texts of other images
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { dim, l2Normalize } from "../Layers.ts"
import { diagonalAccuracy, matches, type ContrastiveOutputs } from "./Contrastive.ts"

export const sigmoidContrastive = (at: {
  readonly image_embeds: Tensor
  readonly text_embeds: Tensor
  readonly scale: Tensor
  readonly bias: Tensor
}): ContrastiveOutputs => {
  const image_BE = l2Normalize(at.image_embeds)
  const text_BE = l2Normalize(at.text_embeds)
  const cosines_BB: Tensor = tf.matMul(image_BE, text_BE, false, true)
  const similarity_i2t: Tensor = tf.add(tf.mul(cosines_BB, at.scale), at.bias)
  const similarity_t2i: Tensor = tf.transpose(similarity_i2t)
  const B = dim(similarity_i2t, 0)
  // -log sigmoid(x) = softplus(-x); the sign is -1 for the own pair, 1 for all others.
  const signs_BB = tf.sub(1, tf.mul(matches(B, B), 2))
  const losses_BB: Tensor = tf.softplus(tf.mul(similarity_i2t, signs_BB))
  return {
    itc_loss: tf.div(tf.sum(losses_BB), B),
    similarity_i2t,
    similarity_t2i,
    image_accuracy: diagonalAccuracy(similarity_i2t),
    text_accuracy: diagonalAccuracy(similarity_t2i)
  }
}
