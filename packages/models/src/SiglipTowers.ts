/**
 * SigLIP's two towers: pre-LN transformers without class token, without causal mask, each with a head that gives the
 * embedding itself (Zhai et al. 2023, section 4; the released models as transformers' SiglipModel has them).
 *
 *   pixels [B, 3, S, S]  ->  tokens [B, N, D] after the last norm, N = floor(S / patch)^2;  pooled by attention [B, D]
 *   ids    [B, T]        ->  tokens [B, T, D] after the last norm;  the last place, projected [B, E], padding or not
 *
 * Pixels that no whole patch covers are left out. Texts are read padded to the full length, as they were trained: the
 * attention mask hides what it marks, so it has to be all ones for that.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { SiglipTextConfig, TowerConfig, VisionConfig } from "./Config.ts"
import { activate, attention, dim, embed, firstRows, linear, norm, paddingMask, patchify } from "./Layers.ts"
import { splitHeads, tokenAt, weightOf } from "./Layers.ts"
import type { Shapes, States, TokenTensors, Weights } from "./Model.ts"
import { layerShapes, linearShapes, normShapes } from "./Shapes.ts"
import { block, blockShapes, lastToken, postNorm } from "./VisionTransformer.ts"

const PATCH = "vision_model.embeddings.patch_embedding"
const PATCH_POSITIONS = "vision_model.embeddings.position_embedding.weight"
const HEAD = "vision_model.head"
const TOKENS = "text_model.embeddings.token_embedding.weight"
const POSITIONS = "text_model.embeddings.position_embedding.weight"

const gridOf = ({ image_size, patch_size }: VisionConfig): number => Math.floor(image_size / patch_size)

export const numPatches = (config: VisionConfig): number => gridOf(config) ** 2

const blocksShapes = (tower: string, config: TowerConfig): Shapes =>
  layerShapes(config.num_hidden_layers, (layer) => blockShapes(`${tower}.encoder.layers.${layer}`, "clip", config))

export const siglipVisionShapes = (config: VisionConfig): Shapes => {
  const { hidden_size: D, intermediate_size, patch_size } = config
  return {
    [`${PATCH}.weight`]: [D, 3, patch_size, patch_size],
    [`${PATCH}.bias`]: [D],
    [PATCH_POSITIONS]: [numPatches(config), D],
    ...blocksShapes("vision_model", config),
    ...normShapes("vision_model.post_layernorm", D),
    [`${HEAD}.probe`]: [1, 1, D],
    [`${HEAD}.attention.in_proj_weight`]: [3 * D, D],
    [`${HEAD}.attention.in_proj_bias`]: [3 * D],
    ...linearShapes(`${HEAD}.attention.out_proj`, D, D),
    ...normShapes(`${HEAD}.layernorm`, D),
    ...linearShapes(`${HEAD}.mlp.fc1`, intermediate_size, D),
    ...linearShapes(`${HEAD}.mlp.fc2`, D, intermediate_size)
  }
}

export const siglipTextShapes = (config: SiglipTextConfig): Shapes => ({
  [TOKENS]: [config.vocab_size, config.hidden_size],
  [POSITIONS]: [config.max_position_embeddings, config.hidden_size],
  ...blocksShapes("text_model", config),
  ...normShapes("text_model.final_layer_norm", config.hidden_size),
  ...linearShapes("text_model.head", config.projection_size, config.hidden_size)
})

/** What enters the first block and what leaves each. */
const blockStates = (
  weights: Weights,
  tower: string,
  config: TowerConfig,
  x: Tensor,
  mask?: Tensor
): ReadonlyArray<Tensor> => {
  const states = [x]
  for (let layer = 0; layer < config.num_hidden_layers; layer++)
    states.push(block(weights, `${tower}.encoder.layers.${layer}`, "clip", config, states[layer]!, mask))
  return states
}

const embedPatches = (weights: Weights, config: VisionConfig, pixels_BCHW: Tensor): Tensor => {
  const { hidden_size: D, image_size: S, patch_size } = config
  if (pixels_BCHW.rank !== 4 || dim(pixels_BCHW, 2) !== S || dim(pixels_BCHW, 3) !== S)
    throw new Error(`expected pixels [B, 3, ${S}, ${S}], got [${pixels_BCHW.shape.join(", ")}]`)
  const covered = gridOf(config) * patch_size
  const whole = covered === S ? pixels_BCHW : tf.slice(pixels_BCHW, [0, 0, 0, 0], [-1, -1, covered, covered])
  const patches = patchify(whole, patch_size)
  const [B, N] = [dim(patches, 0), dim(patches, 1)]
  const kernel_DK = tf.reshape(weightOf(weights, `${PATCH}.weight`), [D, -1])
  const rows = tf.matMul(tf.reshape(patches, [B * N, -1]), kernel_DK, false, true)
  const biased = tf.reshape(tf.add(rows, weightOf(weights, `${PATCH}.bias`)), [B, N, D])
  return tf.add(biased, weightOf(weights, PATCH_POSITIONS))
}

/** A learned query attends to all tokens, [B, N, D] to [B, D]; then a feed-forward block with a residual. */
const attentionPool = (weights: Weights, config: VisionConfig, tokens_BND: Tensor): Tensor => {
  const { hidden_size: D, num_attention_heads: heads } = config
  const [B, N] = [dim(tokens_BND, 0), dim(tokens_BND, 1)]
  const kernel = weightOf(weights, `${HEAD}.attention.in_proj_weight`)
  const bias = weightOf(weights, `${HEAD}.attention.in_proj_bias`)
  /** Rows `part` D to (part + 1) D of the fused matrix: queries, keys, values. */
  const project = (part: number, x: Tensor): Tensor =>
    tf.add(tf.matMul(x, tf.slice(kernel, [part * D, 0], [D, D]), false, true), tf.slice(bias, [part * D], [D]))
  const rows = tf.reshape(tokens_BND, [B * N, D])
  const split = (x: Tensor): Tensor => splitHeads(tf.reshape(x, [B, N, D]), heads)
  const query_11D = tf.reshape(project(0, tf.reshape(weightOf(weights, `${HEAD}.probe`), [1, D])), [1, 1, D])
  const query = splitHeads(tf.tile(query_11D, [B, 1, 1]), heads)
  const mixed_BD = tf.reshape(attention(query, split(project(1, rows)), split(project(2, rows))), [B, D])
  const pooled = linear(weights, `${HEAD}.attention.out_proj`, mixed_BD)
  const normed = norm(weights, `${HEAD}.layernorm`, pooled, config.layer_norm_eps)
  const wide = activate(config.hidden_act, linear(weights, `${HEAD}.mlp.fc1`, normed))
  return tf.add(pooled, linear(weights, `${HEAD}.mlp.fc2`, wide))
}

export const siglipVisionStates = (weights: Weights, config: VisionConfig, pixels_BCHW: Tensor): States => {
  const hidden = blockStates(weights, "vision_model", config, embedPatches(weights, config, pixels_BCHW))
  const last = postNorm(weights, config, hidden.at(-1)!)
  return { hidden, last, pooled: attentionPool(weights, config, last) }
}

export const siglipTextStates = (weights: Weights, config: SiglipTextConfig, text: TokenTensors): States => {
  const T = dim(text.input_ids, 1)
  const words_BTD = embed(weightOf(weights, TOKENS), text.input_ids)
  const x_BTD = tf.add(words_BTD, firstRows(weightOf(weights, POSITIONS), T))
  const mask = paddingMask(text.attention_mask)
  const hidden = blockStates(weights, "text_model", config, x_BTD, mask)
  const final_BD = lastToken(weights, "text_model", config, hidden, (x) => tokenAt(x, T - 1), mask)
  const lastNorm = (x: Tensor): Tensor => norm(weights, "text_model.final_layer_norm", x, config.layer_norm_eps)
  return { hidden, last: lastNorm(hidden.at(-1)!), pooled: linear(weights, "text_model.head", lastNorm(final_BD)) }
}
