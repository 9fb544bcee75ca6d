/**
 * CLIP: an image tower and a text tower, each with one projection without bias (Radford et al. 2021, section 2).
 *
 *   image_embeds = visual_projection(norm(class token))   [B, E]
 *   text_embeds  = text_projection(pooled text)           [B, E]
 *   similarity   = exp(logit_scale) * unit(image_embeds) @ unit(text_embeds)^T
 *
 * Weights carry the names of Hugging Face's CLIPModel. The text tower is the paper's causal transformer, or with
 * `text_config.model_type: "bert"` a bidirectional BERT encoder pooled at [CLS].
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { bertStack, embeddingShapes, feedForwardShapes, selfAttentionShapes } from "./Bert.ts"
import { clipTextPooled, clipTextShapes } from "./ClipText.ts"
import type { ClipConfig, ClipTextConfig } from "./Config.ts"
import { initClip } from "./Init.ts"
import { firstToken, linear, paddingMask, weightOf } from "./Layers.ts"
import type { ClipModel, Shapes, TokenTensors, Weights } from "./Model.ts"
import { IMAGE_MEAN, IMAGE_STD } from "./Preprocess.ts"
import { linearShapes } from "./Shapes.ts"
import { numImageTokens, postNorm, visionShapes, visionTokens } from "./VisionTransformer.ts"

const BERT = { shared: "text_model", self: "text_model" }

const textShapes = (config: ClipTextConfig): Shapes =>
  config.model_type === "bert"
    ? {
        ...embeddingShapes("text_model", config),
        ...selfAttentionShapes("text_model", config),
        ...feedForwardShapes("text_model", config)
      }
    : clipTextShapes(config)

const pooledText = (weights: Weights, config: ClipTextConfig, text: TokenTensors): Tensor => {
  if (config.model_type !== "bert") return clipTextPooled(weights, config, text)
  return firstToken(bertStack(weights, BERT, config, text.input_ids, paddingMask(text.attention_mask)))
}

const clipShapes = (config: ClipConfig): Shapes => ({
  logit_scale: [],
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
    preprocess: {
      image_size: vision_config.image_size,
      image_mean: IMAGE_MEAN,
      image_std: IMAGE_STD,
      resize: "shortest_side_center_crop"
    },
    max_text_length: text_config.max_position_embeddings,
    vocab_size: text_config.vocab_size,
    image_tokens: [numImageTokens(vision_config), vision_config.hidden_size],
    embed_dim: config.projection_dim,
    shapes,
    init: (seed) => initClip(config, shapes, seed),
    encodeImage: (weights, pixels_BCHW) => {
      const tokens_BND = visionTokens(weights, "clip", vision_config, pixels_BCHW)
      const class_BD = postNorm(weights, vision_config, firstToken(tokens_BND))
      return {
        image_tokens: postNorm(weights, vision_config, tokens_BND),
        image_embeds: linear(weights, "visual_projection", class_BD)
      }
    },
    encodeText: (weights, text) => linear(weights, "text_projection", pooledText(weights, text_config, text)),
    similarityScale: (weights) => tf.exp(weightOf(weights, "logit_scale")),
    clamp: { logit_scale: [0, Math.log(100)] },
    encoderWeights: Object.keys(shapes).filter((name) => name !== "logit_scale")
  }
}
