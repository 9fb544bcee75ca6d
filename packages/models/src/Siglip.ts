/**
 * SigLIP: two towers without projections, whose similarity has a scale and a bias (Zhai et al. 2023).
 *
 *   image_embeds = attention pooling of the image's tokens   [B, E]
 *   text_embeds  = head of the padded text's last place      [B, E]
 *   logits       = exp(logit_scale) * unit(image_embeds) @ unit(text_embeds)^T + logit_bias
 *
 * Weights carry the names of Hugging Face's SiglipModel. A pair's probability is the logit's sigmoid: every pair is judged
 * by itself, so no softmax over a batch is needed.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { SiglipConfig } from "./Config.ts"
import { initSiglip } from "./Init.ts"
import { weightOf } from "./Layers.ts"
import type { Shapes, SiglipModel } from "./Model.ts"
import { preprocessOf, siglipColours } from "./Preprocess.ts"
import {
  numPatches,
  siglipTextShapes,
  siglipTextStates,
  siglipVisionShapes,
  siglipVisionStates
} from "./SiglipTowers.ts"

const siglipShapes = (config: SiglipConfig): Shapes => ({
  logit_scale: [1],
  logit_bias: [1],
  ...siglipVisionShapes(config.vision_config),
  ...siglipTextShapes(config.text_config)
})

export const siglipModel = (config: SiglipConfig): SiglipModel => {
  const { vision_config, text_config } = config
  const shapes = siglipShapes(config)
  const similarity = ["logit_scale", "logit_bias"]
  return {
    architecture: "siglip",
    config,
    preprocess: preprocessOf(config, "square", siglipColours),
    max_text_length: text_config.max_position_embeddings,
    text_padding: "full",
    vocab_size: text_config.vocab_size,
    image_tokens: [numPatches(vision_config), vision_config.hidden_size],
    embed_dim: text_config.projection_size,
    shapes,
    init: (seed, names) => initSiglip(config, shapes, seed, names),
    encodeImage: (weights, pixels_BCHW, kept_BK) => {
      if (kept_BK !== undefined) throw new Error("patch dropout needs an image tower with a class token: clip or blip")
      const { last, pooled } = siglipVisionStates(weights, vision_config, pixels_BCHW)
      return { image_tokens: last, image_embeds: pooled }
    },
    encodeText: (weights, text) => siglipTextStates(weights, text_config, text).pooled,
    imageStates: (weights, pixels_BCHW) => siglipVisionStates(weights, vision_config, pixels_BCHW),
    textStates: (weights, text) => siglipTextStates(weights, text_config, text),
    similarityScale: (weights) => tf.exp(tf.reshape(weightOf(weights, "logit_scale"), [])),
    similarityBias: (weights) => tf.reshape(weightOf(weights, "logit_bias"), []),
    clamp: {},
    encoderWeights: Object.keys(shapes).filter((name) => !similarity.includes(name))
  }
}
