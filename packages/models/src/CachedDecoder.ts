/**
 * MED's decoder one token at a time, on keys and values kept from before.
 *
 *   B images   k rows of each (the beams)   L layers   H heads   d = D / H   N image tokens   S slots of an image's cache
 *
 * A new token attends to the cached slots that `visible` opens and to itself; its own key and value go back to the caller, who
 * writes them into a slot. So the cache never passes through the program's outputs, and rows of an image share what they saw before they
 * parted. Each layer's are tensors of their own: cutting them out of one would copy them at every step.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { attentionOutput, feedForward, project, type Stack } from "./Bert.ts"
import { logSoftmax } from "./Composites.ts"
import type { TextConfig } from "./Config.ts"
import { attention, dim, embed, mergeHeads, norm, weightOf } from "./Layers.ts"
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
  const { num_attention_heads: heads, layer_norm_eps: eps } = config
  const [B, k, S] = [dim(visible, 0), dim(visible, 1), dim(visible, 2)]
  // The last token of a caption is never fed.
  if (S / k > config.max_position_embeddings + 1)
    throw new Error(`captions of ${S / k} tokens, but the model has ${config.max_position_embeddings} positions`)
  const open = tf.reshape(visible, [B, 1, k, S])
  const keys: Array<Tensor> = []
  const values: Array<Tensor> = []
  let x_BkD = embedOne(weights, stack.shared, config, input_ids, position)
  for (const index of layers(config)) {
    const name = `${stack.self}.encoder.layer.${index}.attention`
    const part = (which: string): Tensor => project(weights, name, which, x_BkD, heads)
    const own = { keys: part("key"), values: part("value") }
    const cached = { keys: self.keys[index]!, values: self.values[index]! }
    x_BkD = attentionOutput(weights, name, cachedAttention(part("query"), own, cached, open), x_BkD, eps)
    const shared = `${stack.shared}.encoder.layer.${index}`
    const query = project(weights, `${shared}.crossattention`, "query", x_BkD, heads)
    const seen = attention(query, cross.keys[index]!, cross.values[index]!)
    x_BkD = feedForward(weights, shared, config, attentionOutput(weights, `${shared}.crossattention`, seen, x_BkD, eps))
    keys.push(own.keys)
    values.push(own.values)
  }
  return { hidden: tf.reshape(x_BkD, [B * k, -1]), own: { keys, values } }
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
