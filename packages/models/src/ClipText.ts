/**
 * CLIP's own text tower: a causal pre-LN transformer, pooled where the text ends (Radford et al. 2021, 2.4).
 *
 *   input_ids [B, T]  ->  pooled [B, D] after the last norm, before the projection
 *
 * Padding stands behind the end of the text, where the causal mask already hides it, so the attention mask isn't read.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { ClipTextConfig } from "./Config.ts"
import { causalMask, dim, embed, firstRows, norm, weightOf } from "./Layers.ts"
import type { Shapes, States, TokenTensors, Weights } from "./Model.ts"
import { layerShapes, normShapes } from "./Shapes.ts"
import { block, blockShapes, lastToken } from "./VisionTransformer.ts"

const TOKENS = "text_model.embeddings.token_embedding.weight"
const POSITIONS = "text_model.embeddings.position_embedding.weight"

export const clipTextShapes = (config: ClipTextConfig): Shapes => ({
  [TOKENS]: [config.vocab_size, config.hidden_size],
  [POSITIONS]: [config.max_position_embeddings, config.hidden_size],
  ...layerShapes(config.num_hidden_layers, (layer) =>
    blockShapes(`text_model.encoder.layers.${layer}`, "clip", config)
  ),
  ...normShapes("text_model.final_layer_norm", config.hidden_size)
})

/** [B] int32: where each row's text ends. */
const endPositions = (ids_BT: Tensor, eos_token_id: number): Tensor =>
  eos_token_id === 2
    ? tf.argMax(ids_BT, -1)
    : tf.argMax(tf.cast(tf.equal(ids_BT, tf.scalar(eos_token_id, "int32")), "int32"), -1)

export const clipTextStates = (weights: Weights, config: ClipTextConfig, { input_ids }: TokenTensors): States => {
  const [B, T] = [dim(input_ids, 0), dim(input_ids, 1)]
  const positions_TD = firstRows(weightOf(weights, POSITIONS), T)
  const mask = causalMask(T)
  let x_BTD: Tensor = tf.add(embed(weightOf(weights, TOKENS), input_ids), positions_TD)
  const hidden = [x_BTD]
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    x_BTD = block(weights, `text_model.encoder.layers.${layer}`, "clip", config, x_BTD, mask)
    hidden.push(x_BTD)
  }
  const rowStarts = tf.tensor(
    Int32Array.from({ length: B }, (_, row) => row * T),
    [B],
    "int32"
  )
  const ends = endPositions(input_ids, config.eos_token_id)
  const endOf = (x: Tensor): Tensor => tf.gather(tf.reshape(x, [B * T, config.hidden_size]), tf.add(rowStarts, ends))
  const seen_B11T = tf.reshape(tf.gather(tf.reshape(mask, [T, T]), ends), [B, 1, 1, T])
  const pooled_BD = lastToken(weights, "text_model", config, hidden, endOf, seen_B11T)
  const lastNorm = (x: Tensor): Tensor => norm(weights, "text_model.final_layer_norm", x, config.layer_norm_eps)
  return { hidden, last: lastNorm(x_BTD), pooled: lastNorm(pooled_BD) }
}
