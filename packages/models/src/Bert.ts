/**
 * The BERT layers of BLIP's MED and of the BERT text tower of CLIP (Devlin et al. 2019; Li et al. 2022, section 3.1).
 *
 *   ids [B, T]  ->  hidden states [B, T, D]; post-LN; word + position embeddings, no token types
 *
 * One layer is self-attention, then cross-attention where an image is given, then the feed-forward network. Dropout, in training, takes of
 * the embeddings, the attention probabilities, and what each block adds. In MED the text
 * encoder and the decoder share everything but the self-attention block, so a stack names two places: `shared`, with
 * embeddings, cross-attention and feed-forward, and `self`, with the self-attention.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { TextConfig } from "./Config.ts"
import { dropNothing } from "./Dropout.ts"
import type { Drop } from "./Dropout.ts"
import {
  activate,
  attention,
  dim,
  embed,
  firstRows,
  firstToken,
  linear,
  norm,
  pickRows,
  splitHeads,
  weightOf
} from "./Layers.ts"
import type { Shapes, Weights } from "./Model.ts"
import { layerShapes, linearShapes, normShapes } from "./Shapes.ts"

/** Where a stack's weights lie, e.g. { shared: "text_encoder", self: "text_decoder.bert" } for MED's decoder. */
export interface Stack {
  readonly shared: string
  readonly self: string
}

const attentionShapes = (name: string, width: number, memory_width: number): Shapes => ({
  ...linearShapes(`${name}.self.query`, width, width),
  ...linearShapes(`${name}.self.key`, width, memory_width),
  ...linearShapes(`${name}.self.value`, width, memory_width),
  ...linearShapes(`${name}.output.dense`, width, width),
  ...normShapes(`${name}.output.LayerNorm`, width)
})

export const embeddingShapes = (name: string, config: TextConfig): Shapes => ({
  [`${name}.embeddings.word_embeddings.weight`]: [config.vocab_size, config.hidden_size],
  [`${name}.embeddings.position_embeddings.weight`]: [config.max_position_embeddings, config.hidden_size],
  ...normShapes(`${name}.embeddings.LayerNorm`, config.hidden_size)
})

export const selfAttentionShapes = (name: string, config: TextConfig): Shapes =>
  layerShapes(config.num_hidden_layers, (layer) =>
    attentionShapes(`${name}.encoder.layer.${layer}.attention`, config.hidden_size, config.hidden_size)
  )

export const crossAttentionShapes = (name: string, config: TextConfig, image_width: number): Shapes =>
  layerShapes(config.num_hidden_layers, (layer) =>
    attentionShapes(`${name}.encoder.layer.${layer}.crossattention`, config.hidden_size, image_width)
  )

export const feedForwardShapes = (name: string, config: TextConfig): Shapes =>
  layerShapes(config.num_hidden_layers, (layer) => ({
    ...linearShapes(`${name}.encoder.layer.${layer}.intermediate.dense`, config.intermediate_size, config.hidden_size),
    ...linearShapes(`${name}.encoder.layer.${layer}.output.dense`, config.hidden_size, config.intermediate_size),
    ...normShapes(`${name}.encoder.layer.${layer}.output.LayerNorm`, config.hidden_size)
  }))

export const bertEmbeddings = (
  weights: Weights,
  name: string,
  config: TextConfig,
  ids_BT: Tensor,
  drop: Drop = dropNothing
): Tensor => {
  const words_BTD = embed(weightOf(weights, `${name}.embeddings.word_embeddings.weight`), ids_BT)
  const positions = firstRows(weightOf(weights, `${name}.embeddings.position_embeddings.weight`), dim(ids_BT, 1))
  const x_BTD = norm(weights, `${name}.embeddings.LayerNorm`, tf.add(words_BTD, positions), config.layer_norm_eps)
  return drop(x_BTD, `${name}.embeddings`)
}

/** Projects to split heads: [B, T, in] to [B, H, T, D/H]. `part` is query, key or value. */
export const project = (weights: Weights, name: string, part: string, x: Tensor, num_heads: number): Tensor =>
  splitHeads(linear(weights, `${name}.self.${part}`, x), num_heads)

/** The output half of an attention block: dense, residual, norm. */
export const attentionOutput = (
  weights: Weights,
  name: string,
  mixed: Tensor,
  x: Tensor,
  eps: number,
  drop: Drop = dropNothing
): Tensor => {
  const added = drop(linear(weights, `${name}.output.dense`, mixed), `${name}.output`)
  return norm(weights, `${name}.output.LayerNorm`, tf.add(added, x), eps)
}

const attend = (
  weights: Weights,
  name: string,
  config: TextConfig,
  x: Tensor,
  memory: Tensor,
  drop: Drop,
  mask?: Tensor,
  rows?: Tensor
): Tensor => {
  const part = (which: string, from: Tensor): Tensor => project(weights, name, which, from, config.num_attention_heads)
  const seen = (which: string): Tensor => {
    const all = part(which, memory)
    return rows === undefined ? all : pickRows(all, rows)
  }
  const mixed = attention(part("query", x), seen("key"), seen("value"), mask, (all) => drop(all, `${name}.self`))
  return attentionOutput(weights, name, mixed, x, config.layer_norm_eps, drop)
}

/**
 * Attention of texts [B, T, D] to the tokens of U images [U, N, D'], whose keys and values are made once. `images` says which image each
 * text sees; without it B / U texts of an image are side by side, and ask as one long text.
 */
const lookAt = (
  weights: Weights,
  name: string,
  config: TextConfig,
  x: Tensor,
  image_tokens: Tensor,
  drop: Drop,
  images?: Tensor
): Tensor => {
  const [B, U] = [dim(x, 0), dim(image_tokens, 0)]
  if (B === U || images !== undefined) return attend(weights, name, config, x, image_tokens, drop, undefined, images)
  if (B % U !== 0) throw new Error(`expected as many texts of each image, got ${B} texts of ${U} images`)
  const asked = tf.reshape(x, [U, (B / U) * dim(x, 1), dim(x, 2)])
  return tf.reshape(attend(weights, name, config, asked, image_tokens, drop), x.shape)
}

export const feedForward = (
  weights: Weights,
  layer: string,
  config: TextConfig,
  x: Tensor,
  drop: Drop = dropNothing
): Tensor => {
  const wide = activate(config.hidden_act, linear(weights, `${layer}.intermediate.dense`, x))
  return attentionOutput(weights, layer, wide, x, config.layer_norm_eps, drop)
}

interface BertOptions {
  /** In training. */
  readonly drop?: Drop
  /** [U, N, image width], turns the cross-attention on: U = B, or the B / U texts of an image are side by side. */
  readonly image_tokens?: Tensor | undefined
  /** int32 [B]: which image each text sees. */
  readonly images?: Tensor | undefined
}

/** The tokens x [B, Q, D] after a layer, which see all tokens [B, T, D] that enter it. */
const bertLayer = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  index: number,
  x: Tensor,
  all_BTD: Tensor,
  mask: Tensor,
  { drop = dropNothing, image_tokens, images }: BertOptions
): Tensor => {
  const layer = `${stack.shared}.encoder.layer.${index}`
  const own = attend(weights, `${stack.self}.encoder.layer.${index}.attention`, config, x, all_BTD, drop, mask)
  const seen =
    image_tokens === undefined
      ? own
      : lookAt(weights, `${layer}.crossattention`, config, own, image_tokens, drop, images)
  return feedForward(weights, layer, config, seen, drop)
}

/**
 * The embeddings and what leaves each layer: num_hidden_layers + 1 tensors [B, T, D]. `mask` is added to self-attention
 * scores. An image that several texts see is projected once.
 */
export const bertStates = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  ids_BT: Tensor,
  mask: Tensor,
  options: BertOptions = {}
): ReadonlyArray<Tensor> => {
  let x_BTD = bertEmbeddings(weights, stack.shared, config, ids_BT, options.drop)
  const states = [x_BTD]
  for (let index = 0; index < config.num_hidden_layers; index++) {
    x_BTD = bertLayer(weights, stack, config, index, x_BTD, x_BTD, mask, options)
    states.push(x_BTD)
  }
  return states
}

/**
 * The first token alone after the last layer, [B, D], of what `bertStates` gave: a program that reads nothing else computes no other token
 * there, and the layer costs little more than its keys and values.
 */
export const bertClass = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  states: ReadonlyArray<Tensor>,
  mask: Tensor,
  options: BertOptions = {}
): Tensor => {
  const last = config.num_hidden_layers - 1
  const all_BTD = states[last]!
  const class_B1D = tf.slice(all_BTD, [0, 0, 0], [-1, 1, -1])
  return firstToken(bertLayer(weights, stack, config, last, class_B1D, all_BTD, mask, options))
}
