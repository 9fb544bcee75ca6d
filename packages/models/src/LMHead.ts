/**
 * BERT's language-model head: hidden states [..., D] to logits [..., V].
 *
 * The output matrix is the word embeddings, unless the config unties it: then it is a weight of its own, and its name being
 * there is what says so.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { TextConfig } from "./Config.ts"
import { activate, dim, linear, norm, weightOf } from "./Layers.ts"
import type { Shapes, Weights } from "./Model.ts"
import { linearShapes, normShapes } from "./Shapes.ts"

const HEAD = "text_decoder.cls.predictions"
const WORDS = "text_encoder.embeddings.word_embeddings.weight"

export const lmHeadShapes = ({ hidden_size, vocab_size }: TextConfig, tied: boolean): Shapes => ({
  ...linearShapes(`${HEAD}.transform.dense`, hidden_size, hidden_size),
  ...normShapes(`${HEAD}.transform.LayerNorm`, hidden_size),
  [`${HEAD}.bias`]: [vocab_size],
  ...(tied ? {} : { [`${HEAD}.decoder.weight`]: [vocab_size, hidden_size] })
})

export const lmHead = (weights: Weights, config: TextConfig, hidden: Tensor): Tensor => {
  const dense = activate(config.hidden_act, linear(weights, `${HEAD}.transform.dense`, hidden))
  const transformed = norm(weights, `${HEAD}.transform.LayerNorm`, dense, config.layer_norm_eps)
  const matrix_VD = weights[`${HEAD}.decoder.weight`] ?? weightOf(weights, WORDS)
  const logits = tf.matMul(tf.reshape(transformed, [-1, dim(matrix_VD, 1)]), matrix_VD, false, true)
  return tf.reshape(tf.add(logits, weightOf(weights, `${HEAD}.bias`)), [
    ...hidden.shape.slice(0, -1),
    dim(matrix_VD, 0)
  ])
}
