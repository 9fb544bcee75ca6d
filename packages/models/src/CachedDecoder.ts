/**
 * MED's decoder one token at a time, on keys and values kept from before.
 *
 *   B rows   L layers   H heads   d = D / H   N image tokens   T_max the longest caption
 *
 * The new token attends to the cached positions that `visible` opens and to itself; its own key and value go back to the
 * caller, who writes them into the cache. So the cache never passes through the program's outputs.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { attentionOutput, feedForward, project, type Stack } from "./Bert.ts"
import type { TextConfig } from "./Config.ts"
import { attention, dim, embed, mergeHeads, norm, weightOf } from "./Layers.ts"
import { lmHead } from "./LMHead.ts"
import type { DecoderCache, Weights } from "./Model.ts"

const layers = (config: TextConfig): ReadonlyArray<number> =>
  Array.from({ length: config.num_hidden_layers }, (_, layer) => layer)

/** One layer [B, H, T, d] of a cache [L, B, H, T, d]. */
const layerOf = (cache: Tensor, layer: number): Tensor =>
  tf.reshape(tf.slice(cache, [layer, 0, 0, 0, 0], [1, -1, -1, -1, -1]), cache.shape.slice(1))

export const crossCache = (weights: Weights, stack: Stack, config: TextConfig, image_tokens: Tensor) => {
  const all = (part: string): Tensor =>
    tf.stack(
      layers(config).map((layer) => {
        const name = `${stack.shared}.encoder.layer.${layer}.crossattention`
        return project(weights, name, part, image_tokens, config.num_attention_heads)
      })
    )
  return { cross_keys: all("key"), cross_values: all("value") }
}

/** Attention of one query [B, H, 1, d] over cached keys and its own, softmaxed together. */
const cachedAttention = (
  q: Tensor,
  own: { readonly key: Tensor; readonly value: Tensor },
  cached: { readonly keys: Tensor; readonly values: Tensor },
  visible: Tensor
): Tensor => {
  const scaled = tf.mul(q, 1 / Math.sqrt(dim(q, 3)))
  const past: Tensor = tf.add(tf.matMul(scaled, cached.keys, false, true), visible)
  const self: Tensor = tf.matMul(scaled, own.key, false, true)
  const probabilities = tf.softmax(tf.concat([past, self], -1), -1)
  const [toPast, toSelf] = tf.split(probabilities, [dim(past, 3), 1], -1) as [Tensor, Tensor]
  return mergeHeads(tf.add(tf.matMul(toPast, cached.values), tf.mul(toSelf, own.value)))
}

const embedOne = (weights: Weights, name: string, config: TextConfig, input_ids: Tensor, position: Tensor): Tensor => {
  const words_B1D = embed(weightOf(weights, `${name}.embeddings.word_embeddings.weight`), input_ids)
  const table_TD = weightOf(weights, `${name}.embeddings.position_embeddings.weight`)
  const place_1D = tf.gather(table_TD, tf.reshape(position, [1]))
  return norm(weights, `${name}.embeddings.LayerNorm`, tf.add(words_B1D, place_1D), config.layer_norm_eps)
}

export const decodeStep = (
  weights: Weights,
  stack: Stack,
  config: TextConfig,
  input_ids: Tensor,
  position: Tensor,
  visible: Tensor,
  cache: DecoderCache
) => {
  const { num_attention_heads: heads, layer_norm_eps: eps } = config
  // The last token of a caption is never fed.
  if (dim(visible, 0) > config.max_position_embeddings + 1)
    throw new Error(
      `captions of ${dim(visible, 0)} tokens, but the model has ${config.max_position_embeddings} positions`
    )
  const keys: Array<Tensor> = []
  const values: Array<Tensor> = []
  let x_B1D = embedOne(weights, stack.shared, config, input_ids, position)
  for (const index of layers(config)) {
    const self = `${stack.self}.encoder.layer.${index}.attention`
    const part = (which: string): Tensor => project(weights, self, which, x_B1D, heads)
    const own = { key: part("key"), value: part("value") }
    const cached = { keys: layerOf(cache.self_keys, index), values: layerOf(cache.self_values, index) }
    x_B1D = attentionOutput(weights, self, cachedAttention(part("query"), own, cached, visible), x_B1D, eps)
    const shared = `${stack.shared}.encoder.layer.${index}`
    const query = project(weights, `${shared}.crossattention`, "query", x_B1D, heads)
    const seen = attention(query, layerOf(cache.cross_keys, index), layerOf(cache.cross_values, index))
    x_B1D = feedForward(weights, shared, config, attentionOutput(weights, `${shared}.crossattention`, seen, x_B1D, eps))
    keys.push(own.key)
    values.push(own.value)
  }
  const logits_B1V = lmHead(weights, config, x_B1D)
  const logits = tf.reshape(logits_B1V, [dim(logits_B1V, 0), dim(logits_B1V, 2)])
  return { logits, keys: tf.stack(keys), values: tf.stack(values) }
}
