/**
 * ITM: does the text describe the image? (Li et al. 2022, section 3.2.)
 *
 *   image_tokens [B, N, D]   text [B, T]   ->   itm_loss [] over 3B rows:
 *   the B pairs, then each text with a hard negative image, then each image with a hard negative text
 *
 * A negative is drawn from the batch in proportion to softmax(similarity) + 1e-4, never the own pair, nor with image_ids [B, 2]
 * a row of the same image: by Gumbel's trick, arg max of log weight + noise, so that the random numbers are inputs of the program.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { detached } from "../Detached.ts"
import { dim, MASKED, pickRows } from "../Layers.ts"
import type { BlipModel, TokenTensors, Weights } from "../Model.ts"
import { matches } from "./Contrastive.ts"
import { sameImage } from "./SameImage.ts"

/** For each of B rows, the row of the batch on the other side that makes its negative, int32 [B]. */
export interface Negatives {
  /** The image that goes with text b. */
  readonly image_indices: Tensor
  /** The text that goes with image b. */
  readonly text_indices: Tensor
}

/** [B, B]: 1 where the column is no negative of the row. */
const noNegatives = (num_rows: number, image_ids: Tensor | undefined): Tensor =>
  image_ids === undefined ? matches(num_rows, num_rows) : sameImage(image_ids, image_ids)

/** [B, B]: what a hard negative of each row is drawn in proportion to. */
export const negativeWeights = (similarity_BB: Tensor, image_ids?: Tensor): Tensor => {
  const B = dim(similarity_BB, 0)
  return tf.mul(tf.add(tf.softmax(similarity_BB, -1), 1e-4), tf.sub(1, noNegatives(B, image_ids)))
}

const drawNegatives = (similarity_BB: Tensor, gumbel_BB: Tensor, image_ids: Tensor | undefined): Tensor => {
  const B = dim(similarity_BB, 0)
  if (B < 2) throw new Error(`hard negatives need a batch of at least 2 pairs, got ${B}`)
  const own = noNegatives(B, image_ids)
  const logWeights = tf.log(tf.add(negativeWeights(similarity_BB, image_ids), own))
  return tf.argMax(tf.add(tf.add(logWeights, gumbel_BB), tf.mul(own, MASKED)), -1)
}

/**
 * `gumbel_*` [B, B] are standard Gumbel noise, see `gumbels`. No gradient flows through the choice. Where image_ids are given, they
 * must be of two images at least.
 */
export const hardNegatives = (at: {
  readonly similarity_i2t: Tensor
  readonly similarity_t2i: Tensor
  readonly gumbel_i2t: Tensor
  readonly gumbel_t2i: Tensor
  readonly image_ids?: Tensor
}): Negatives => ({
  image_indices: detached(() => drawNegatives(at.similarity_t2i, at.gumbel_t2i, at.image_ids)),
  text_indices: detached(() => drawNegatives(at.similarity_i2t, at.gumbel_i2t, at.image_ids))
})

export interface MatchingOutputs {
  readonly itm_loss: Tensor
  /** [3B, 2] in the order above; class 1 = match. */
  readonly match_logits: Tensor
  readonly match_accuracy: Tensor
}

/** `text` starts with [ENC]. */
export const matching = (
  model: BlipModel,
  weights: Weights,
  image_tokens: Tensor,
  text: TokenTensors,
  negatives: Negatives
): MatchingOutputs => {
  const B = dim(image_tokens, 0)
  const own = tf.range(0, B, 1, "int32")
  const images = tf.concat([own, negatives.image_indices, own], 0)
  const rows = (x: Tensor): Tensor => tf.concat([x, x, pickRows(x, negatives.text_indices)], 0)
  const texts = { ...text, input_ids: rows(text.input_ids), attention_mask: rows(text.attention_mask) }
  const match_logits = model.matchLogits(weights, image_tokens, texts, images)
  const classes = Int32Array.from({ length: 3 * B }, (_, row) => (row < B ? 1 : 0))
  const targets = tf.tensor(
    Float32Array.from({ length: 6 * B }, (_, i) => (i % 2 === classes[i >> 1] ? 1 : 0)),
    [3 * B, 2]
  )
  const right = tf.equal(tf.argMax(match_logits, -1), tf.tensor(classes, [3 * B], "int32"))
  return {
    itm_loss: tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(match_logits, -1), targets), -1))),
    match_logits,
    match_accuracy: tf.mean(tf.cast(right, "float32"))
  }
}
