/**
 * MED's decoder on keys and values kept from before: a prompt's tokens at once, then one token at a time.
 *
 *   B images   k rows of each (the beams)   P tokens of a prompt   L layers   H heads   d = D / H   N image tokens   S slots of an image's cache
 *
 * A new token attends to the cached slots that `visible` opens and to itself; its own key and value go back to the caller, who
 * writes them into a slot. So the cache never passes through the program's outputs, and rows of an image share what they saw before they
 * parted. Each layer's are tensors of their own: cutting them out of one would copy them at every step.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { attentionOutput, bertEmbeddings, feedForward, project, type Stack } from "./Bert.ts"
import { logSoftmax } from "./Composites.ts"
import type { TextConfig } from "./Config.ts"
import { attention, causalMask, dim, embed, mergeHeads, norm, tokenAt, weightOf } from "./Layers.ts"
import { lmHead } from "./LMHead.ts"
import type { DecoderCache, KeysAndValues, NextTokens, Weights } from "./Model.ts"

const layers = (config: TextConfig): ReadonlyArray<number> =>
  Array.from({ length: config.num_hidden_layers }, (_, layer) => layer)

export const crossCache = (weights: Weights, stack: Stack, config: TextConfig, image_tokens: Tensor): KeysAndValues => {
  const all = (part: string): ReadonlyArray<Tensor> =>
    layers(config).map((layer) => {
      const name = `${stack.shared}.encoder.layer.${layer}.crossattention`
      return project(weights, name, part, image_tokens, config.num_attention_heads)
    })
  return { keys: all("key"), values: all("value") }
}

interface LayerCache {
  readonly keys: Tensor
  readonly values: Tensor
}

/** Attention of queries [B, H, k, d] over cached keys [B, H, S, d] and each over its own, softmaxed together; `visible` [B, 1, k, S]. */
const cachedAttention = (q: Tensor, own: LayerCache, cached: LayerCache, visible: Tensor): Tensor => {
  const scaled = tf.mul(q, 1 / Math.sqrt(dim(q, 3)))
  const past: Tensor = tf.add(tf.matMul(scaled, cached.keys, false, true), visible)
  const self: Tensor = tf.sum(tf.mul(scaled, own.keys), -1, true)
  const probabilities = tf.softmax(tf.concat([past, self], -1), -1)
  const [toPast, toSelf] = tf.split(probabilities, [dim(past, 3), 1], -1) as [Tensor, Tensor]
  return mergeHeads(tf.add(tf.matMul(toPast, cached.values), tf.mul(toSelf, own.values)))
}

/** A layer's self-attention, of the queries of T new tokens [B, H, T, d] and these tokens' own keys and values: [B, T, D]. */
type SelfAttention = (query: Tensor, own: LayerCache, layer: number) => Tensor

/** New tokens x [B, T, D] after all layers, and their keys and values [B, H, T, d] in each. */
const throughLayers = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  x: Tensor,
  cross: KeysAndValues,
  selfAttention: SelfAttention
) => {
  const { num_attention_heads: heads, layer_norm_eps: eps } = config
  const keys: Array<Tensor> = []
  const values: Array<Tensor> = []
  let x_BTD = x
  for (const index of layers(config)) {
    const name = `${stack.self}.encoder.layer.${index}.attention`
    const part = (which: string): Tensor => project(weights, name, which, x_BTD, heads)
    const own = { keys: part("key"), values: part("value") }
    x_BTD = attentionOutput(weights, name, selfAttention(part("query"), own, index), x_BTD, eps)
    const shared = `${stack.shared}.encoder.layer.${index}`
    const query = project(weights, `${shared}.crossattention`, "query", x_BTD, heads)
    const seen = attention(query, cross.keys[index]!, cross.values[index]!)
    x_BTD = feedForward(weights, shared, config, attentionOutput(weights, `${shared}.crossattention`, seen, x_BTD, eps))
    keys.push(own.keys)
    values.push(own.values)
  }
  return { x_BTD, own: { keys, values } }
}

/** The last of the tokens `input_ids` [B, P], [B, D]: each has seen itself and those before it. No slot is read. */
export const prefill = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  input_ids: Tensor,
  cross: KeysAndValues
) => {
  const P = dim(input_ids, 1)
  const x_BPD = bertEmbeddings(weights, stack.shared, config, input_ids)
  const { x_BTD, own } = throughLayers(weights, stack, config, x_BPD, cross, (query, { keys, values }) =>
    attention(query, keys, values, causalMask(P))
  )
  return { hidden: tokenAt(x_BTD, P - 1), own }
}

const embedOne = (weights: Weights, name: string, config: TextConfig, input_ids: Tensor, position: Tensor): Tensor => {
  const words_BkD = embed(weightOf(weights, `${name}.embeddings.word_embeddings.weight`), input_ids)
  const table_TD = weightOf(weights, `${name}.embeddings.position_embeddings.weight`)
  const place_1D = tf.gather(table_TD, tf.reshape(position, [1]))
  return norm(weights, `${name}.embeddings.LayerNorm`, tf.add(words_BkD, place_1D), config.layer_norm_eps)
}

export const decodeStep = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  input_ids: Tensor,
  position: Tensor,
  visible: Tensor,
  { self, cross }: DecoderCache
) => {
  const [B, k, S] = [dim(visible, 0), dim(visible, 1), dim(visible, 2)]
  // The last token of a caption is never fed.
  if (S / k > config.max_position_embeddings + 1)
    throw new Error(`captions of ${S / k} tokens, but the model has ${config.max_position_embeddings} positions`)
  const open = tf.reshape(visible, [B, 1, k, S])
  const x_BkD = embedOne(weights, stack.shared, config, input_ids, position)
  const { x_BTD, own } = throughLayers(weights, stack, config, x_BkD, cross, (query, each, layer) =>
    cachedAttention(query, each, { keys: self.keys[layer]!, values: self.values[layer]! }, open)
  )
  return { hidden: tf.reshape(x_BTD, [B * k, -1]), own }
}

/**
 * What may follow hidden states [R, D]. The likeliest tokens are picked here, so that no row of V numbers leaves the engine for a strategy
 * that looks at a few.
 */
export const nextTokens = (
  weights: Weights,
  config: TextConfig,
  hidden: Tensor,
  num_likeliest: number | undefined
): NextTokens => {
  const logits = lmHead(weights, config, hidden)
  if (num_likeliest === undefined) return { logits, log_totals: tf.logSumExp(logits, -1) }
  const { values, indices } = tf.topk(logSoftmax(logits), Math.min(num_likeliest, dim(logits, 1)))
  return { ids: indices, log_probabilities: values }
}
