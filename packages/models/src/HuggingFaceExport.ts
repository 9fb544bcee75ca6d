/**
 * A model as transformers names it: the class's config.json, and its name for each weight. The inverse of HuggingFaceNames.
 *
 * BLIP as it is trained has all of MED's roles at once; a class of transformers has some of them. So a model of one's own is
 * written once per class: the captioner as BlipForConditionalGeneration, the filter as BlipForImageTextRetrieval.
 */
import { ConfigError, type BlipConfig, type ClipConfig, type ModelConfig, type SiglipConfig } from "./Config.ts"
import type { Model } from "./Model.ts"

export const huggingFaceClasses = [
  "CLIPModel",
  "BlipForImageTextRetrieval",
  "BlipForConditionalGeneration",
  "BlipModel",
  "SiglipModel"
] as const
export type HuggingFaceClass = (typeof huggingFaceClasses)[number]

export interface HuggingFaceExport {
  readonly class: HuggingFaceClass
  /** config.json */
  readonly config: Readonly<Record<string, unknown>>
  /** Our names to transformers'; weights that the class doesn't have are left out. */
  readonly names: Readonly<Record<string, string>>
}

const SELF_ATTENTION = /\.attention\./

const captionerName = (name: string): string | undefined => {
  if (name.startsWith("vision_model.") || name.startsWith("text_decoder.")) return name
  const isShared = name.startsWith("text_encoder.") && !SELF_ATTENTION.test(name)
  return isShared ? name.replace("text_encoder.", "text_decoder.bert.") : undefined
}

const retrievalName = (name: string): string | undefined =>
  /^(vision_model|text_encoder|vision_proj|text_proj|itm_head)\./.test(name) ? name : undefined

const pooledName = (name: string): string | undefined => {
  if (name.startsWith("text_decoder.") || name.startsWith("itm_head.")) return undefined
  return name
    .replace(/^text_encoder\./, "text_model.")
    .replace(/^vision_proj\./, "visual_projection.")
    .replace(/^text_proj\./, "text_projection.")
}

const namers: Readonly<Record<HuggingFaceClass, (name: string) => string | undefined>> = {
  CLIPModel: (name) => name,
  BlipForImageTextRetrieval: retrievalName,
  BlipForConditionalGeneration: captionerName,
  BlipModel: pooledName,
  SiglipModel: (name) => name
}

/** Token ids that transformers' text configs want beside the sizes. */
interface TextIds {
  readonly pad_token_id: number
  readonly start_token_id: number
  readonly end_token_id: number
}

const clipConfig = (config: ClipConfig, ids: TextIds) => ({
  ...config,
  text_config: { ...config.text_config, pad_token_id: ids.pad_token_id, bos_token_id: ids.start_token_id },
  vision_config: { ...config.vision_config, model_type: "clip_vision_model", num_channels: 3 }
})

const blipConfig = (config: BlipConfig, ids: TextIds) => ({
  ...config,
  text_config: {
    ...config.text_config,
    encoder_hidden_size: config.vision_config.hidden_size,
    eos_token_id: config.text_config.sep_token_id,
    pad_token_id: ids.pad_token_id,
    is_decoder: true,
    tie_word_embeddings: config.tie_word_embeddings
  },
  vision_config: { ...config.vision_config, model_type: "blip_vision_model" }
})

const siglipConfig = (config: SiglipConfig, ids: TextIds) => ({
  ...config,
  text_config: {
    ...config.text_config,
    pad_token_id: ids.pad_token_id,
    bos_token_id: ids.start_token_id,
    eos_token_id: ids.end_token_id
  },
  vision_config: { ...config.vision_config, model_type: "siglip_vision_model", num_channels: 3 }
})

const configWritten = (config: ModelConfig, ids: TextIds) => {
  if (config.model_type === "siglip") return siglipConfig(config, ids)
  return config.model_type === "clip" ? clipConfig(config, ids) : blipConfig(config, ids)
}

const classOf = (model: Model): HuggingFaceClass => {
  if (model.architecture === "clip") return "CLIPModel"
  if (model.architecture === "siglip") return "SiglipModel"
  const named = (model.config as BlipConfig).architectures.find((name) =>
    huggingFaceClasses.some((known) => known === name)
  )
  return (named as HuggingFaceClass | undefined) ?? "BlipForConditionalGeneration"
}

const checkClass = (model: Model, wanted: HuggingFaceClass): void => {
  const config = model.config as ModelConfig
  if (config.model_type === "clip" && config.text_config.model_type === "bert")
    throw new ConfigError(["text_config.model_type: transformers' CLIPModel has no BERT text tower"])
  if (config.model_type === "clip" && config.logit_bias_init_value !== undefined)
    throw new ConfigError(["logit_bias_init_value: transformers' CLIPModel has no logit_bias"])
  const pooled = classOf(model) === "BlipModel"
  const family = { CLIPModel: "clip", SiglipModel: "siglip" } as const
  const fits = config.model_type === (wanted === "CLIPModel" || wanted === "SiglipModel" ? family[wanted] : "blip")
  if (!fits || (wanted === "BlipModel") !== pooled)
    throw new ConfigError([`architectures: this model can't be written as ${wanted}; it is a ${classOf(model)}`])
}

/** `as`: the class; default the one the config names, else the captioner's. Throws a `ConfigError` where it doesn't fit. */
export const toHuggingFace = (model: Model, ids: TextIds, as: HuggingFaceClass = classOf(model)): HuggingFaceExport => {
  checkClass(model, as)
  const written = configWritten(model.config as ModelConfig, ids)
  const names = Object.keys(model.shapes).flatMap((name) => {
    const theirs = namers[as](name)
    return theirs === undefined ? [] : [[name, theirs]]
  })
  // Who opens the folder has an image processor of their own.
  const config = { ...written, image_processor: undefined, architectures: [as], dtype: "float32" }
  return { class: as, config, names: Object.fromEntries(names) }
}
