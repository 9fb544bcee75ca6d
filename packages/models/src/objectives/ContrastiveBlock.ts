/**
 * The contrastive losses of some rows against a whole batch, for gradient caching (Gao et al. 2021, section 3.2).
 *
 *   rows  image_embeds, text_embeds [b, E], unit length      all  the same of the batch, [N, E]
 *   places int32 [b], which of all rows they are      scale, bias []      ->   itc_loss [], the rows' share of the batch's
 *
 * A row's softmax goes over all N candidates, so a block has whole rows of the [N, N] similarities, and holds no more of them than its own.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { dim } from "../Layers.ts"

interface Embeds {
  readonly image_embeds: Tensor
  readonly text_embeds: Tensor
}

export interface ContrastiveBlock {
  readonly itc_loss: Tensor
  readonly image_accuracy: Tensor
  readonly text_accuracy: Tensor
}

/** log(sum(exp(x))) over the last axis; its gradient is the softmax, computed from x and the result alone. */
const logSumExp = (x: Tensor): Tensor =>
  tf.customGrad((...given: Array<Tensor | tf.GradSaveFunc>) => {
    const [values, save] = given as [Tensor, tf.GradSaveFunc]
    const largest = tf.max(values, -1, true)
    const value = tf.add(tf.log(tf.sum(tf.exp(tf.sub(values, largest)), -1, true)), largest)
    save([values, value])
    const gradFunc = (dy: Tensor, [saved, sum]: Array<Tensor>) => tf.mul(tf.exp(tf.sub(saved!, sum!)), dy)
    return { value, gradFunc }
  })(x)

interface Block {
  readonly rows: Embeds
  readonly all: Embeds
  readonly places: Tensor
  readonly scale: Tensor
}

/** [b, N] */
const similarities = (queries: Tensor, candidates: Tensor, scale: Tensor): Tensor =>
  tf.mul(tf.matMul(queries, candidates, false, true), scale)

/** [b, 1], of each row's own pair. */
const ownPairs = ({ rows, scale }: Block): Tensor =>
  tf.mul(tf.sum(tf.mul(rows.image_embeds, rows.text_embeds), -1, true), scale)

/** The block's part of the mean over all N rows. */
const shareOf = (x: Tensor, { all }: Block): Tensor => tf.div(tf.sum(x), dim(all.image_embeds, 0))

const hits = (logits_bN: Tensor, at: Block): Tensor =>
  shareOf(tf.cast(tf.equal(tf.argMax(logits_bN, -1), at.places), "float32"), at)

export const contrastiveBlock = (at: Block): ContrastiveBlock => {
  const { rows, all, scale } = at
  const own_b1 = ownPairs(at)
  const i2t = similarities(rows.image_embeds, all.text_embeds, scale)
  const t2i = similarities(rows.text_embeds, all.image_embeds, scale)
  const crossEntropy = (logits_bN: Tensor): Tensor => shareOf(tf.sub(logSumExp(logits_bN), own_b1), at)
  return {
    itc_loss: tf.mul(tf.add(crossEntropy(i2t), crossEntropy(t2i)), 0.5),
    image_accuracy: hits(i2t, at),
    text_accuracy: hits(t2i, at)
  }
}

/** The same of the sigmoid loss (Zhai et al. 2023, section 3.3): -log sigmoid(x) = softplus(x) - x of the own pair, softplus(x) of all others. */
export const sigmoidBlock = (at: Block & { readonly bias: Tensor }): ContrastiveBlock => {
  const { rows, all, scale, bias } = at
  const i2t = tf.add(similarities(rows.image_embeds, all.text_embeds, scale), bias)
  const t2i = similarities(rows.text_embeds, all.image_embeds, scale)
  const own_b1 = tf.add(ownPairs(at), bias)
  return {
    itc_loss: tf.sub(shareOf(tf.softplus(i2t), at), shareOf(own_b1, at)),
    image_accuracy: hits(i2t, at),
    text_accuracy: hits(t2i, at)
  }
}
