/**
 * ITC: the contrastive loss of BLIP, against features of a momentum twin (Li et al. 2022, 3.2; Li et al. 2021, 3.2).
 *
 *   image_embeds, text_embeds [B, E]   twin_image_embeds, twin_text_embeds [B, E]
 *   image_queue, text_queue [Q, E]     earlier features of the twin, unit length (Q may be 0: leave them out)
 *   scale, alpha []                    ->   itc_loss []
 *   image_ids [B, 2], idx_queue [Q, 2]  where given: rows of the same image are right for each other
 *
 * Candidates on the other side are the twin's features, of the batch and then of the queue. Targets are
 * alpha * softmax(the twin's own similarities) + (1 - alpha) * (the own pair), and carry no gradient, scale's included. With
 * image_ids the second part is shared evenly by the candidates of the row's image, in the batch and in the queue.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { detached } from "../Detached.ts"
import { dim, l2Normalize } from "../Layers.ts"
import { accuracy, matches, softCrossEntropy, type ContrastiveOutputs } from "./Contrastive.ts"
import { evenTargets, sameImage } from "./SameImage.ts"

export interface MomentumContrastiveInputs {
  readonly image_embeds: Tensor
  readonly text_embeds: Tensor
  readonly twin_image_embeds: Tensor
  readonly twin_text_embeds: Tensor
  readonly image_queue?: Tensor
  readonly text_queue?: Tensor
  readonly image_ids?: Tensor
  /** The queues' images; with image_ids and queues. */
  readonly idx_queue?: Tensor
  readonly scale: Tensor
  readonly alpha: Tensor
}

export interface MomentumContrastiveOutputs extends ContrastiveOutputs {
  /** [B, E] each, unit length: the rows to enqueue after the step. */
  readonly enqueue_image: Tensor
  readonly enqueue_text: Tensor
  /** [B, B + Q] each: scaled similarities with all candidates, and what they should be like. */
  readonly candidates_i2t: Tensor
  readonly candidates_t2i: Tensor
  readonly targets_i2t: Tensor
  readonly targets_t2i: Tensor
}

const withQueue = (batch: Tensor, queue: Tensor | undefined): Tensor =>
  queue === undefined ? batch : tf.concat([batch, queue], 0)

const similarities = (query_BE: Tensor, candidates: Tensor, scale: Tensor): Tensor =>
  tf.mul(tf.matMul(query_BE, candidates, false, true), scale)

/** `even_targets`: instead of the own pair. */
const softTargets = (twin_similarities: Tensor, alpha: Tensor, even_targets: Tensor | undefined): Tensor => {
  const own = even_targets ?? matches(dim(twin_similarities, 0), dim(twin_similarities, 1))
  return tf.add(tf.mul(tf.softmax(twin_similarities, -1), alpha), tf.mul(own, tf.sub(1, alpha)))
}

export const momentumContrastive = (at: MomentumContrastiveInputs): MomentumContrastiveOutputs => {
  const image_BE = l2Normalize(at.image_embeds)
  const text_BE = l2Normalize(at.text_embeds)
  const twinImage_BE = l2Normalize(at.twin_image_embeds)
  const twinText_BE = l2Normalize(at.twin_text_embeds)
  const images = withQueue(twinImage_BE, at.image_queue)
  const texts = withQueue(twinText_BE, at.text_queue)
  const i2t = similarities(image_BE, texts, at.scale)
  const t2i = similarities(text_BE, images, at.scale)
  const even = at.image_ids && evenTargets(sameImage(at.image_ids, withQueue(at.image_ids, at.idx_queue)))
  const targets_i2t = detached(() => softTargets(similarities(twinImage_BE, texts, at.scale), at.alpha, even))
  const targets_t2i = detached(() => softTargets(similarities(twinText_BE, images, at.scale), at.alpha, even))
  const B = dim(image_BE, 0)
  const similarity_i2t = tf.slice(i2t, [0, 0], [B, B])
  const similarity_t2i = tf.slice(t2i, [0, 0], [B, B])
  const same = at.image_ids && sameImage(at.image_ids, at.image_ids)
  return {
    itc_loss: tf.mul(tf.add(softCrossEntropy(i2t, targets_i2t), softCrossEntropy(t2i, targets_t2i)), 0.5),
    similarity_i2t,
    similarity_t2i,
    image_accuracy: accuracy(similarity_i2t, same),
    text_accuracy: accuracy(similarity_t2i, same),
    enqueue_image: twinImage_BE,
    enqueue_text: twinText_BE,
    candidates_i2t: i2t,
    candidates_t2i: t2i,
    targets_i2t,
    targets_t2i
  }
}
