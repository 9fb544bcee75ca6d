/**
 * Rows of one image: where an image has several captions, each of them is right for it (Li et al. 2021, ALBEF's and LAVIS's
 * finetuning for retrieval).
 *
 *   image_ids [B, 2]   idx_queue [Q, 2]   ->   [B, B + Q], 1 where row and candidate show the same image
 *
 * An id has 48 bits, as two whole numbers below 2^24, which float32 holds exactly.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { MASKED } from "../Layers.ts"

/** What the queue holds before it has seen images: no image's id. */
export const noImage = -100

/** [B, C] */
export const sameImage = (image_ids: Tensor, candidate_ids: Tensor): Tensor => {
  const agree = (half: number): Tensor => {
    const candidates_1C = tf.transpose(tf.slice(candidate_ids, [0, half], [-1, 1]))
    return tf.equal(tf.slice(image_ids, [0, half], [-1, 1]), candidates_1C)
  }
  return tf.cast(tf.logicalAnd(agree(0), agree(1)), "float32")
}

/** A row's target, in equal shares on all of its image's candidates. */
export const evenTargets = (same_BC: Tensor): Tensor => tf.div(same_BC, tf.sum(same_BC, -1, true))

/** Share of rows whose largest logit stands at a candidate of the row's image. */
export const sameImageAccuracy = (logits_BB: Tensor, same_BB: Tensor): Tensor => {
  const right_BB = tf.add(logits_BB, tf.mul(tf.sub(1, same_BB), MASKED))
  return tf.mean(tf.cast(tf.greaterEqual(tf.max(right_BB, -1), tf.max(logits_BB, -1)), "float32"))
}
