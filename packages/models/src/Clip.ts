/**
 * CLIP: an image tower and a text tower, each with one projection without bias (Radford et al. 2021, section 2).
 *
 *   image_embeds = visual_projection(norm(class token))   [B, E]
 *   text_embeds  = text_projection(pooled text)           [B, E]
 *   similarity   = exp(logit_scale) * unit(image_embeds) @ unit(text_embeds)^T, + logit_bias where it has one
 *
 * Weights carry the names of Hugging Face's CLIPModel. The text tower is the paper's causal transformer, or with
 * `text_config.model_type: "bert"` a bidirectional BERT encoder pooled at [CLS].
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { bertClass, bertStates, embeddingShapes, feedForwardShapes, selfAttentionShapes } from "./Bert.ts"
import { clipTextStates, clipTextShapes } from "./ClipText.ts"
import type { ClipConfig, ClipTextConfig, VisionConfig } from "./Config.ts"
import { initClip } from "./Init.ts"
import { firstToken, linear, paddingMask, weightOf } from "./Layers.ts"
import type { ClipModel, Shapes, States, TokenTensors, Weights } from "./Model.ts"
import { clipColours, preprocessOf } from "./Preprocess.ts"
import { linearShapes } from "./Shapes.ts"
import { lastToken, numImageTokens, postNorm, visionShapes, visionStates } from "./VisionTransformer.ts"

const BERT = { shared: "text_model", self: "text_model" }

const textShapes = (config: ClipTextConfig): Shapes =>
  config.model_type === "bert"
    ? {
        ...embeddingShapes("text_model", config),
        ...selfAttentionShapes("text_model", config),
        ...feedForwardShapes("text_model", config)
      }
    : clipTextShapes(config)

const textStates = (weights: Weights, config: ClipTextConfig, text: TokenTensors): States => {
  if (config.model_type !== "bert") return clipTextStates(weights, config, text)
  const mask = paddingMask(text.attention_mask)
  const hidden = bertStates(weights, BERT, config, text.input_ids, mask)
  return { hidden, last: hidden.at(-1)!, pooled: bertClass(weights, BERT, config, hidden, mask) }
}

const imageStates = (weights: Weights, config: VisionConfig, pixels_BCHW: Tensor, kept_BK?: Tensor): States => {
  const hidden = visionStates(weights, "clip", config, pixels_BCHW, kept_BK)
  const pooled = postNorm(weights, config, lastToken(weights, "vision_model", config, hidden, firstToken))
  return { hidden, last: postNorm(weights, config, hidden.at(-1)!), pooled }
}

const clipShapes = (config: ClipConfig): Shapes => ({
  logit_scale: [],
  ...(config.logit_bias_init_value === undefined ? {} : { logit_bias: [] }),
  ...visionShapes("clip", config.vision_config),
  ...textShapes(config.text_config),
  ...linearShapes("visual_projection", config.projection_dim, config.vision_config.hidden_size, false),
  ...linearShapes("text_projection", config.projection_dim, config.text_config.hidden_size, false)
})

export const clipModel = (config: ClipConfig): ClipModel => {
  const { vision_config, text_config } = config
  const shapes = clipShapes(config)
  return {
    architecture: "clip",
    config,
    preprocess: preprocessOf(config, "shortest_side_center_crop", clipColours),
    max_text_length: text_config.max_position_embeddings,
    text_padding: "hidden",
    vocab_size: text_config.vocab_size,
    image_tokens: [numImageTokens(vision_config), vision_config.hidden_size],
    embed_dim: config.projection_dim,
    shapes,
    init: (seed, names) => initClip(config, shapes, seed, names),
    encodeImage: (weights, pixels_BCHW, kept_BK) => {
      const { last, pooled } = imageStates(weights, vision_config, pixels_BCHW, kept_BK)
      return { image_tokens: last, image_embeds: linear(weights, "visual_projection", pooled) }
    },
    encodeText: (weights, text) => linear(weights, "text_projection", textStates(weights, text_config, text).pooled),
    imageStates: (weights, pixels_BCHW) => imageStates(weights, vision_config, pixels_BCHW),
    textStates: (weights, text) => textStates(weights, text_config, text),
    similarityScale: (weights) => tf.exp(weightOf(weights, "logit_scale")),
    ...(shapes["logit_bias"] === undefined
      ? {}
      : { similarityBias: (weights: Weights) => weightOf(weights, "logit_bias") }),
    clamp: { logit_scale: [0, Math.log(100)] },
    encoderWeights: Object.keys(shapes).filter((name) => name !== "logit_scale" && name !== "logit_bias")
  }
}
