/**
 * BLIP: a ViT and MED, one text transformer in three roles (Li et al. 2022, sections 3.1 and 3.2).
 *
 *   unimodal encoder         [CLS] first, bidirectional                           -> text_embeds [B, E]
 *   image-grounded encoder   [ENC] first, bidirectional + cross-attention         -> match logits [B, 2]
 *   image-grounded decoder   [DEC] first, causal + cross-attention, LM head       -> next-token logits [B, T, V]
 *
 * Both encoders are one module. Encoder and decoder share embeddings, cross-attention and feed-forward; each has its own
 * self-attention block. Shared weights appear once, under `text_encoder`; the other names are Hugging Face's.
 *
 * A config whose `architectures` names `BlipModel` has that class's contrastive heads instead: projections without bias
 * of size `projection_dim`, BERT's pooler, the class token normed twice, and logit_scale for temp.
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import {
  bertClass,
  bertStates,
  crossAttentionShapes,
  embeddingShapes,
  feedForwardShapes,
  selfAttentionShapes,
  type Stack
} from "./Bert.ts"
import { crossCache, decodeStep, nextTokens, prefill } from "./CachedDecoder.ts"
import type { BlipConfig } from "./Config.ts"
import { dropWith } from "./Dropout.ts"
import { initBlip } from "./Init.ts"
import { causalMask, dim, firstToken, linear, paddingMask, weightOf } from "./Layers.ts"
import { lmHead, lmHeadShapes } from "./LMHead.ts"
import type { BlipModel, ImageFeatures, Shapes, States, TokenTensors, Weights } from "./Model.ts"
import { clipColours, preprocessOf } from "./Preprocess.ts"
import { linearShapes } from "./Shapes.ts"
import { numImageTokens, postNorm, visionShapes, visionStates } from "./VisionTransformer.ts"

const ENCODER: Stack = { shared: "text_encoder", self: "text_encoder" }
const DECODER: Stack = { shared: "text_encoder", self: "text_decoder.bert" }

const isPooled = (config: BlipConfig): boolean => config.architectures.includes("BlipModel")

const headShapes = (config: BlipConfig): Shapes => {
  const [image_width, text_width] = [config.vision_config.hidden_size, config.text_config.hidden_size]
  const matching = linearShapes("itm_head", 2, text_width)
  if (!isPooled(config))
    return {
      ...linearShapes("vision_proj", config.image_text_hidden_size, image_width),
      ...linearShapes("text_proj", config.image_text_hidden_size, text_width),
      temp: [],
      ...matching
    }
  return {
    ...linearShapes("vision_proj", config.projection_dim, image_width, false),
    ...linearShapes("text_proj", config.projection_dim, text_width, false),
    ...linearShapes("text_encoder.pooler.dense", text_width, text_width),
    logit_scale: [],
    ...matching
  }
}

const blipShapes = (config: BlipConfig): Shapes => {
  const text = config.text_config
  return {
    ...visionShapes("blip", config.vision_config),
    ...embeddingShapes(ENCODER.shared, text),
    ...selfAttentionShapes(ENCODER.self, text),
    ...crossAttentionShapes(ENCODER.shared, text, config.vision_config.hidden_size),
    ...feedForwardShapes(ENCODER.shared, text),
    ...selfAttentionShapes(DECODER.self, text),
    ...lmHeadShapes(text, config.tie_word_embeddings),
    ...headShapes(config)
  }
}

const imageStates = (weights: Weights, config: BlipConfig, pixels_BCHW: Tensor, kept_BK?: Tensor): States => {
  const { vision_config } = config
  const hidden = visionStates(weights, "blip", vision_config, pixels_BCHW, kept_BK)
  const last = postNorm(weights, vision_config, hidden.at(-1)!)
  const class_BD = firstToken(last)
  return { hidden, last, pooled: isPooled(config) ? postNorm(weights, vision_config, class_BD) : class_BD }
}

const encodeImage = (
  weights: Weights,
  config: BlipConfig,
  pixels_BCHW: Tensor,
  kept_BK: Tensor | undefined
): ImageFeatures => {
  const { last, pooled } = imageStates(weights, config, pixels_BCHW, kept_BK)
  return { image_tokens: last, image_embeds: linear(weights, "vision_proj", pooled) }
}

const dropOf = ({ dropout }: TokenTensors) => (dropout === undefined ? {} : { drop: dropWith(dropout) })

/** What leaves each layer of the encoder, and the first token alone after the last. */
const encodeStates = (
  weights: Weights,
  { text_config }: BlipConfig,
  text: TokenTensors,
  image_tokens?: Tensor,
  images?: Tensor
) => {
  const mask = paddingMask(text.attention_mask)
  const options = { ...dropOf(text), image_tokens, images }
  const hidden = bertStates(weights, ENCODER, text_config, text.input_ids, mask, options)
  return { hidden, class_BD: bertClass(weights, ENCODER, text_config, hidden, mask, options) }
}

const textStates = (weights: Weights, config: BlipConfig, text: TokenTensors): States => {
  const { hidden, class_BD } = encodeStates(weights, config, text)
  const last = hidden.at(-1)!
  const pooled = isPooled(config) ? tf.tanh(linear(weights, "text_encoder.pooler.dense", class_BD)) : class_BD
  return { hidden, last, pooled }
}

const encodeText = (weights: Weights, config: BlipConfig, text: TokenTensors): Tensor =>
  linear(weights, "text_proj", textStates(weights, config, text).pooled)

const matchLogits = (
  weights: Weights,
  config: BlipConfig,
  image_tokens: Tensor,
  text: TokenTensors,
  images?: Tensor
): Tensor => linear(weights, "itm_head", encodeStates(weights, config, text, image_tokens, images).class_BD)

/** Padding stands behind the text, hidden by the causal mask from all positions that count, so its mask isn't read. */
const decodeLogits = (weights: Weights, config: BlipConfig, image_tokens: Tensor, text: TokenTensors): Tensor => {
  const { text_config } = config
  const ids_BT = text.input_ids
  const options = { ...dropOf(text), image_tokens }
  const hidden = bertStates(weights, DECODER, text_config, ids_BT, causalMask(dim(ids_BT, 1)), options)
  return lmHead(weights, text_config, hidden.at(-1)!)
}

const isEncoderWeight = (name: string): boolean =>
  /^(vision_model|vision_proj|text_encoder|text_proj)\./.test(name) && !name.includes(".crossattention.")

export const blipModel = (config: BlipConfig): BlipModel => {
  const { vision_config, text_config } = config
  const shapes = blipShapes(config)
  const pooled = isPooled(config)
  return {
    architecture: "blip",
    config,
    preprocess: preprocessOf(config, "square", clipColours),
    max_text_length: config.max_text_length,
    text_padding: "hidden",
    vocab_size: text_config.vocab_size,
    image_tokens: [numImageTokens(vision_config), vision_config.hidden_size],
    embed_dim: pooled ? config.projection_dim : config.image_text_hidden_size,
    shapes,
    init: (seed, names) => initBlip(config, shapes, seed, names),
    encodeImage: (weights, pixels_BCHW, kept_BK) => encodeImage(weights, config, pixels_BCHW, kept_BK),
    encodeText: (weights, text) => encodeText(weights, config, text),
    imageStates: (weights, pixels_BCHW) => imageStates(weights, config, pixels_BCHW),
    textStates: (weights, text) => textStates(weights, config, text),
    similarityScale: (weights) =>
      pooled ? tf.exp(weightOf(weights, "logit_scale")) : tf.div(1, weightOf(weights, "temp")),
    clamp: pooled ? { logit_scale: [0, Math.log(100)] } : { temp: [0.001, 0.5] },
    encoderWeights: Object.keys(shapes).filter(isEncoderWeight),
    matchLogits: (weights, image_tokens, text, images) => matchLogits(weights, config, image_tokens, text, images),
    decodeLogits: (weights, image_tokens, text) => decodeLogits(weights, config, image_tokens, text),
    decoder: {
      num_layers: text_config.num_hidden_layers,
      num_heads: text_config.num_attention_heads,
      head_width: text_config.hidden_size / text_config.num_attention_heads
    },
    crossCache: (weights, image_tokens) => crossCache(weights, DECODER, text_config, image_tokens),
    prefill: (weights, input_ids, cross, num_likeliest) => {
      const { hidden, own } = prefill(weights, DECODER, text_config, input_ids, cross)
      return { next: nextTokens(weights, text_config, hidden, num_likeliest), own }
    },
    decodeStep: (weights, input_ids, position, visible, cache, num_likeliest) => {
      const { hidden, own } = decodeStep(weights, DECODER, text_config, input_ids, position, visible, cache)
      return { next: nextTokens(weights, text_config, hidden, num_likeliest), own }
    }
  }
}
