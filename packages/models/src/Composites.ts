/**
 * Functions that an engine may compute with one fused kernel. Where the active backend has registered the kernel it is
 * used; elsewhere the same mathematics is composed of plain operations, which is the reference.
 *
 *   LayerNorm   { x [..., D], weight [D], bias [D] } { epsilon }   Ba et al. 2016
 *   Gelu        { x }                                              exact, with erf (Hendrycks and Gimpel 2016)
 *   QuickGelu   { x }                                              x * sigmoid(1.702 x), as in OpenAI's CLIP weights
 *   LogSoftmax  { logits [R, V] }                                  over the last axis
 *   SoftmaxCrossEntropy  { logits [R, V], targets [R] } { label_smoothing }   [R]; Szegedy et al. 2016, section 7
 */
import * as tf from "@tensorflow/tfjs-core"
import type { NamedAttrMap, NamedTensorMap, Tensor } from "@tensorflow/tfjs-core"

const fused = (kernel: string, inputs: NamedTensorMap, attributes: NamedAttrMap = {}): Tensor | undefined => {
  if (tf.getKernel(kernel, tf.getBackend()) === undefined) return undefined
  const output = tf.engine().runKernel(kernel, inputs, attributes)
  return Array.isArray(output) ? output[0] : (output as Tensor)
}

export const layerNorm = (x: Tensor, weight: Tensor, bias: Tensor, epsilon: number): Tensor => {
  const output = fused("LayerNorm", { x, weight, bias }, { epsilon })
  if (output !== undefined) return output
  const centred = tf.sub(x, tf.mean(x, -1, true))
  const variance = tf.mean(tf.mul(centred, centred), -1, true)
  return tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(variance, epsilon))), weight), bias)
}

export const gelu = (x: Tensor): Tensor =>
  fused("Gelu", { x }) ?? tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))

export const quickGelu = (x: Tensor): Tensor => fused("QuickGelu", { x }) ?? tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))

/** GELU by tanh, which some checkpoints are trained with; plain operations on every backend. */
export const tanhGelu = (x: Tensor): Tensor => {
  const cubic = tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715))
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(tf.mul(cubic, Math.sqrt(2 / Math.PI))), 1))
}

export const logSoftmax = (logits_RV: Tensor): Tensor =>
  fused("LogSoftmax", { logits: logits_RV }, { axis: 1 }) ?? tf.logSoftmax(logits_RV, -1)

/** Losses [R] against the targets int32 [R], of which `label_smoothing` is spread evenly over the classes. */
export const crossEntropy = (logits_RV: Tensor, targets_R: Tensor, label_smoothing: number): Tensor => {
  const losses_R = fused("SoftmaxCrossEntropy", { logits: logits_RV, targets: targets_R }, { label_smoothing })
  if (losses_R !== undefined) return losses_R
  const V = logits_RV.shape[1]!
  const own_RV = tf.oneHot(targets_R, V, 1, 0, "float32")
  const smooth_RV = tf.add(tf.mul(own_RV, 1 - label_smoothing), label_smoothing / V)
  return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits_RV, -1), smooth_RV), -1))
}
