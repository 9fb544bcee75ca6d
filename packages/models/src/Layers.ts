/**
 * The pieces that every tower is made of (Vaswani et al. 2017; Dosovitskiy et al. 2021).
 *
 *   B batch   T tokens   D width   H heads   E embedding size
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { gelu, layerNorm, quickGelu, tanhGelu } from "./Composites.ts"
import type { Activation } from "./Config.ts"
import type { Weights } from "./Model.ts"

/** Added to attention scores that must vanish: exp of it is 0 in float32, and a fully masked row still gives numbers. */
export const MASKED = -1e9

export const dim = (x: Tensor, axis: number): number => {
  const size = x.shape[axis]
  if (size === undefined) throw new Error(`expected a tensor with an axis ${axis}, got shape [${x.shape.join(", ")}]`)
  return size
}

export const weightOf = (weights: Weights, name: string): Tensor => {
  const weight = weights[name]
  if (weight === undefined) throw new Error(`weight ${name} is missing`)
  return weight
}

/** x [..., in] to [..., out], with `name.weight` [out, in] and, where there is one, `name.bias` [out]. */
export const linear = (weights: Weights, name: string, x: Tensor): Tensor => {
  const weight = weightOf(weights, `${name}.weight`)
  const bias = weights[`${name}.bias`]
  const rows = tf.matMul(tf.reshape(x, [-1, dim(weight, 1)]), weight, false, true)
  const biased = bias === undefined ? rows : tf.add(rows, bias)
  return x.rank === 2 ? biased : tf.reshape(biased, [...x.shape.slice(0, -1), dim(weight, 0)])
}

export const norm = (weights: Weights, name: string, x: Tensor, epsilon: number): Tensor =>
  layerNorm(x, weightOf(weights, `${name}.weight`), weightOf(weights, `${name}.bias`), epsilon)

export const activate = (activation: Activation, x: Tensor): Tensor => {
  switch (activation) {
    case "gelu":
      return gelu(x)
    case "quick_gelu":
      return quickGelu(x)
    case "relu":
      return tf.relu(x)
    case "silu":
      return tf.mul(x, tf.sigmoid(x))
    default:
      return tanhGelu(x)
  }
}

/** [B, T, D] to [B, H, T, D/H]. */
export const splitHeads = (x_BTD: Tensor, num_heads: number): Tensor => {
  const [B, T, D] = [dim(x_BTD, 0), dim(x_BTD, 1), dim(x_BTD, 2)]
  return tf.transpose(tf.reshape(x_BTD, [B, T, num_heads, D / num_heads]), [0, 2, 1, 3])
}

/** [B, H, T, D/H] to [B, T, D]. */
export const mergeHeads = (x_BHTd: Tensor): Tensor => {
  const [B, H, T, d] = [dim(x_BHTd, 0), dim(x_BHTd, 1), dim(x_BHTd, 2), dim(x_BHTd, 3)]
  return tf.reshape(tf.transpose(x_BHTd, [0, 2, 1, 3]), [B, T, H * d])
}

/**
 * Softmax attention on split heads; `mask` is added to the scores and broadcasts against [B, H, T, keys]. `drop` gets the
 * probabilities.
 */
export const attention = (
  q_BHTd: Tensor,
  k_BHKd: Tensor,
  v_BHKd: Tensor,
  mask?: Tensor,
  drop: (probabilities: Tensor) => Tensor = (x) => x
): Tensor => {
  const scaled = tf.mul(q_BHTd, 1 / Math.sqrt(dim(q_BHTd, 3)))
  const scores_BHTK: Tensor = tf.matMul(scaled, k_BHKd, false, true)
  const probabilities = tf.softmax(mask === undefined ? scores_BHTK : tf.add(scores_BHTK, mask), -1)
  return mergeHeads(tf.matMul(drop(probabilities), v_BHKd))
}

/** [1, 1, T, T]: a token sees itself and what stands before it. A constant of the shape. */
export const causalMask = (num_tokens: number): Tensor => {
  const values = new Float32Array(num_tokens * num_tokens)
  for (let row = 0; row < num_tokens; row++)
    for (let column = row + 1; column < num_tokens; column++) values[row * num_tokens + column] = MASKED
  return tf.tensor(values, [1, 1, num_tokens, num_tokens])
}

/** From an attention mask [B, T] (1 token, 0 padding) to what is added to scores, [B, 1, 1, T]. */
export const paddingMask = (attention_mask: Tensor): Tensor => {
  const padding = tf.sub(1, tf.cast(attention_mask, "float32"))
  return tf.reshape(tf.mul(padding, MASKED), [dim(attention_mask, 0), 1, 1, dim(attention_mask, 1)])
}

/** Rows of a table [V, D] for ids [B, T]: [B, T, D]. */
export const embed = (table_VD: Tensor, ids_BT: Tensor): Tensor =>
  tf.reshape(tf.gather(table_VD, tf.reshape(ids_BT, [-1])), [dim(ids_BT, 0), dim(ids_BT, 1), dim(table_VD, 1)])

/** Rows of a tensor of any rank at `indices`, int32 [R], as rows of a matrix: scatters of gradients are plain then. */
export const pickRows = (x: Tensor, indices_R: Tensor): Tensor =>
  tf.reshape(tf.gather(tf.reshape(x, [dim(x, 0), -1]), indices_R), [dim(indices_R, 0), ...x.shape.slice(1)])

/** The first `count` rows of a table [T_max, D], picked also where these are all: so a program of the full length is that of any other. */
export const firstRows = (table_TD: Tensor, count: number): Tensor => {
  if (count > dim(table_TD, 0)) throw new Error(`${count} tokens, but the model has ${dim(table_TD, 0)} positions`)
  return tf.gather(table_TD, tf.range(0, count, 1, "int32"))
}

/** [B, T, D] to its token at a place, [B, D]. */
export const tokenAt = (x_BTD: Tensor, place: number): Tensor =>
  tf.reshape(tf.slice(x_BTD, [0, place, 0], [-1, 1, -1]), [dim(x_BTD, 0), dim(x_BTD, 2)])

export const firstToken = (x_BTD: Tensor): Tensor => tokenAt(x_BTD, 0)

/** Rows of unit length; a row of zeros stays zero. */
export const l2Normalize = (x_BE: Tensor): Tensor =>
  tf.div(x_BE, tf.maximum(tf.sqrt(tf.sum(tf.mul(x_BE, x_BE), -1, true)), 1e-12))

/** Pixels [B, C, S, S] to patches [B, (S/P)^2, C P P], in the order of a convolution's weight [D, C, P, P]. */
export const patchify = (pixels_BCHW: Tensor, patch_size: number): Tensor => {
  const [B, C, S] = [dim(pixels_BCHW, 0), dim(pixels_BCHW, 1), dim(pixels_BCHW, 2)]
  const grid = S / patch_size
  const cells = tf.reshape(pixels_BCHW, [B, C, grid, patch_size, grid, patch_size])
  return tf.reshape(tf.transpose(cells, [0, 2, 4, 1, 3, 5]), [B, grid * grid, C * patch_size * patch_size])
}
