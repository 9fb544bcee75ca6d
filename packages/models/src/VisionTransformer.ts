/**
 * The image tower: a pre-LN Vision Transformer in CLIP's and in BLIP's form.
 *
 *   pixels [B, 3, S, S]  ->  tokens [B, N, D] before the last norm;  N = (S / patch)^2 + 1, the class token first
 *
 * | | CLIP (Radford et al. 2021, 3.2) | BLIP (Li et al. 2022, 3.1) |
 * |---|---|---|
 * | patch embedding | no bias | bias |
 * | norm before the blocks | yes, `pre_layrnorm` (sic) | no |
 * | attention weights | q, k, v apart | one `qkv` |
 * | last norm | of the class token | of all tokens |
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { TowerConfig, VisionConfig } from "./Config.ts"
import { activate, attention, dim, firstToken, linear, norm, patchify, splitHeads, weightOf } from "./Layers.ts"
import type { Shapes, Weights } from "./Model.ts"
import { layerShapes, linearShapes, normShapes } from "./Shapes.ts"

export type Family = "clip" | "blip"

/** A pre-LN block's weights; CLIP's text tower is made of the same blocks. */
export const blockShapes = (name: string, family: Family, config: TowerConfig): Shapes => {
  const { hidden_size: D, intermediate_size } = config
  const attentionShapes =
    family === "blip"
      ? { ...linearShapes(`${name}.self_attn.qkv`, 3 * D, D), ...linearShapes(`${name}.self_attn.projection`, D, D) }
      : Object.assign(
          {},
          ...["q_proj", "k_proj", "v_proj", "out_proj"].map((part) => linearShapes(`${name}.self_attn.${part}`, D, D))
        )
  return {
    ...attentionShapes,
    ...normShapes(`${name}.layer_norm1`, D),
    ...linearShapes(`${name}.mlp.fc1`, intermediate_size, D),
    ...linearShapes(`${name}.mlp.fc2`, D, intermediate_size),
    ...normShapes(`${name}.layer_norm2`, D)
  }
}

/** CLIP's attention of `queries` [B, Q, D] on x [B, T, D]. */
const attentionApart = (
  weights: Weights,
  name: string,
  queries: Tensor,
  x: Tensor,
  heads: number,
  mask?: Tensor
): Tensor => {
  const part = (which: string, of: Tensor): Tensor => splitHeads(linear(weights, `${name}.${which}`, of), heads)
  const mixed = attention(part("q_proj", queries), part("k_proj", x), part("v_proj", x), mask)
  return linear(weights, `${name}.out_proj`, mixed)
}

const selfAttention = (
  weights: Weights,
  name: string,
  family: Family,
  x: Tensor,
  heads: number,
  mask?: Tensor
): Tensor => {
  if (family === "clip") return attentionApart(weights, name, x, x, heads, mask)
  const [q, k, v] = tf.split(linear(weights, `${name}.qkv`, x), 3, 2) as [Tensor, Tensor, Tensor]
  const mixed = attention(splitHeads(q, heads), splitHeads(k, heads), splitHeads(v, heads), mask)
  return linear(weights, `${name}.projection`, mixed)
}

const feedForward = (
  weights: Weights,
  name: string,
  { layer_norm_eps, hidden_act }: TowerConfig,
  h: Tensor
): Tensor => {
  const wide = linear(weights, `${name}.mlp.fc1`, norm(weights, `${name}.layer_norm2`, h, layer_norm_eps))
  return tf.add(h, linear(weights, `${name}.mlp.fc2`, activate(hidden_act, wide)))
}

/** One pre-LN block on [B, T, D]. */
export const block = (
  weights: Weights,
  name: string,
  family: Family,
  config: TowerConfig,
  x: Tensor,
  mask?: Tensor
): Tensor => {
  const { layer_norm_eps, num_attention_heads } = config
  const normed = norm(weights, `${name}.layer_norm1`, x, layer_norm_eps)
  const h = tf.add(x, selfAttention(weights, `${name}.self_attn`, family, normed, num_attention_heads, mask))
  return feedForward(weights, name, config, h)
}

/**
 * One token of each row after the last of a tower's blocks, made as CLIP's are, [B, D], of what entered the first block and left each. The others are
 * seen by it and not computed: where nobody asks for them, that block costs less than a fifth. `pick` takes the token out of [B, T, D],
 * `mask` is that of its scores [B, H, 1, T].
 */
export const lastToken = (
  weights: Weights,
  tower: string,
  config: TowerConfig,
  states: ReadonlyArray<Tensor>,
  pick: (x_BTD: Tensor) => Tensor,
  mask?: Tensor
): Tensor => {
  const { hidden_size, layer_norm_eps, num_attention_heads, num_hidden_layers } = config
  const name = `${tower}.encoder.layers.${num_hidden_layers - 1}`
  const x = states[num_hidden_layers - 1]!
  const normed = norm(weights, `${name}.layer_norm1`, x, layer_norm_eps)
  const query = tf.reshape(pick(normed), [dim(x, 0), 1, hidden_size])
  const mixed = attentionApart(weights, `${name}.self_attn`, query, normed, num_attention_heads, mask)
  return feedForward(weights, name, config, tf.add(pick(x), firstToken(mixed)))
}

export const numImageTokens = (config: VisionConfig): number => (config.image_size / config.patch_size) ** 2 + 1

export const visionShapes = (family: Family, config: VisionConfig): Shapes => {
  const { hidden_size: D, patch_size, num_hidden_layers } = config
  const N = numImageTokens(config)
  const patch = "vision_model.embeddings.patch_embedding"
  const embeddings: Shapes =
    family === "blip"
      ? {
          "vision_model.embeddings.class_embedding": [1, 1, D],
          "vision_model.embeddings.position_embedding": [1, N, D],
          [`${patch}.bias`]: [D]
        }
      : {
          "vision_model.embeddings.class_embedding": [D],
          "vision_model.embeddings.position_embedding.weight": [N, D],
          ...normShapes("vision_model.pre_layrnorm", D)
        }
  return {
    ...embeddings,
    [`${patch}.weight`]: [D, 3, patch_size, patch_size],
    ...layerShapes(num_hidden_layers, (layer) => blockShapes(`vision_model.encoder.layers.${layer}`, family, config)),
    ...normShapes("vision_model.post_layernorm", D)
  }
}

const embedPatches = (
  weights: Weights,
  family: Family,
  config: VisionConfig,
  pixels_BCHW: Tensor,
  kept_BK: Tensor | undefined
): Tensor => {
  const { hidden_size: D, patch_size } = config
  const embeddings = "vision_model.embeddings"
  const kernel = weightOf(weights, `${embeddings}.patch_embedding.weight`)
  const all = patchify(pixels_BCHW, patch_size)
  const patches = kept_BK === undefined ? all : tf.gather(all, kept_BK, 1, 1)
  const [B, P] = [dim(patches, 0), dim(patches, 1)]
  const projected = tf.matMul(tf.reshape(patches, [B * P, -1]), tf.reshape(kernel, [D, -1]), false, true)
  const biased =
    family === "blip" ? tf.add(projected, weightOf(weights, `${embeddings}.patch_embedding.bias`)) : projected
  const classes = tf.tile(tf.reshape(weightOf(weights, `${embeddings}.class_embedding`), [1, 1, D]), [B, 1, 1])
  const position = weightOf(weights, `${embeddings}.position_embedding${family === "blip" ? "" : ".weight"}`)
  const tokens = tf.concat([classes, tf.reshape(biased, [B, P, D])], 1)
  if (kept_BK === undefined) return tf.add(tokens, tf.reshape(position, [1, P + 1, D]))
  // The class token stands before the patches, so patch p has position p + 1.
  const places = tf.concat([tf.zeros([B, 1], "int32"), tf.add(kept_BK, tf.scalar(1, "int32"))], 1)
  return tf.add(tokens, tf.gather(tf.reshape(position, [-1, D]), places))
}

/**
 * What enters the first block and what leaves each: num_hidden_layers + 1 tensors [B, N, D], before `post_layernorm`. With `kept_BK`,
 * int32, only these patches of each image are looked at, and N = K + 1 (patch dropout: Li et al. 2023, "FLIP", section 3).
 */
export const visionStates = (
  weights: Weights,
  family: Family,
  config: VisionConfig,
  pixels_BCHW: Tensor,
  kept_BK?: Tensor
): ReadonlyArray<Tensor> => {
  const S = config.image_size
  if (pixels_BCHW.rank !== 4 || dim(pixels_BCHW, 2) !== S || dim(pixels_BCHW, 3) !== S)
    throw new Error(`expected pixels [B, 3, ${S}, ${S}], got [${pixels_BCHW.shape.join(", ")}]`)
  let x_BND = embedPatches(weights, family, config, pixels_BCHW, kept_BK)
  if (family === "clip") x_BND = norm(weights, "vision_model.pre_layrnorm", x_BND, config.layer_norm_eps)
  const states = [x_BND]
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    x_BND = block(weights, `vision_model.encoder.layers.${layer}`, family, config, x_BND)
    states.push(x_BND)
  }
  return states
}

export const postNorm = (weights: Weights, config: VisionConfig, x: Tensor): Tensor =>
  norm(weights, "vision_model.post_layernorm", x, config.layer_norm_eps)
