/**
 * The symmetric contrastive loss over a batch (Radford et al. 2021, figure 3).
 *
 *   image_embeds, text_embeds [B, E]   scale []   ->   itc_loss []
 *   similarity_i2t [B, B] = scale * unit(image_embeds) @ unit(text_embeds)^T;   similarity_t2i is its transpose
 *
 * With image_ids [B, 2] rows of the same image are right for each other, in equal shares (SameImage.ts).
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { dim, l2Normalize } from "../Layers.ts"
import { evenTargets, sameImage, sameImageAccuracy } from "./SameImage.ts"

export interface ContrastiveOutputs {
  readonly itc_loss: Tensor
  readonly similarity_i2t: Tensor
  readonly similarity_t2i: Tensor
  /** Share of images whose own text, with image_ids a text of theirs, is the most similar one, and the reverse. */
  readonly image_accuracy: Tensor
  readonly text_accuracy: Tensor
}

/** [B, columns]: 1 where row and column number agree. A constant of the shape. */
export const matches = (num_rows: number, num_columns: number): Tensor => {
  const values = new Float32Array(num_rows * num_columns)
  for (let row = 0; row < num_rows; row++) values[row * num_columns + row] = 1
  return tf.tensor(values, [num_rows, num_columns])
}

/** Cross-entropy of rows of logits against rows of target probabilities, averaged. */
export const softCrossEntropy = (logits: Tensor, targets: Tensor): Tensor =>
  tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits, -1), targets), -1)))

/** Share of rows whose largest logit stands in the row's own column. */
export const diagonalAccuracy = (logits: Tensor): Tensor => {
  const B = dim(logits, 0)
  const own = tf.tensor(
    Int32Array.from({ length: B }, (_, row) => row),
    [B],
    "int32"
  )
  return tf.mean(tf.cast(tf.equal(tf.argMax(logits, -1), own), "float32"))
}

/** `same_BB`: which rows show the same image, where it is asked for. */
export const accuracy = (logits_BB: Tensor, same_BB: Tensor | undefined): Tensor =>
  same_BB === undefined ? diagonalAccuracy(logits_BB) : sameImageAccuracy(logits_BB, same_BB)

export const contrastive = (at: {
  readonly image_embeds: Tensor
  readonly text_embeds: Tensor
  readonly scale: Tensor
  readonly image_ids?: Tensor
}): ContrastiveOutputs => {
  const image_BE = l2Normalize(at.image_embeds)
  const text_BE = l2Normalize(at.text_embeds)
  const similarity_i2t: Tensor = tf.mul(tf.matMul(image_BE, text_BE, false, true), at.scale)
  const similarity_t2i: Tensor = tf.transpose(similarity_i2t)
  const same = at.image_ids && sameImage(at.image_ids, at.image_ids)
  const targets = same ? evenTargets(same) : matches(dim(similarity_i2t, 0), dim(similarity_i2t, 0))
  const both = tf.add(softCrossEntropy(similarity_i2t, targets), softCrossEntropy(similarity_t2i, targets))
  return {
    itc_loss: tf.mul(both, 0.5),
    similarity_i2t,
    similarity_t2i,
    image_accuracy: accuracy(similarity_i2t, same),
    text_accuracy: accuracy(similarity_t2i, same)
  }
}
