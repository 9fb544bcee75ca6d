/**
 * Model configs in Hugging Face's words (`CLIPConfig`, `BlipConfig`, `SiglipConfig`), checked before any weight is made.
 *
 * What a config leaves out takes the value that transformers gives it; sizes of the towers have no default.
 */
import { ConfigError, Section, type Triple } from "./ConfigSection.ts"

export { ConfigError }

/** transformers' names; the approximations of GELU by tanh, `gelu_new` and `gelu_fast`, are the same function. */
export const activations = ["gelu", "quick_gelu", "gelu_new", "gelu_fast", "gelu_pytorch_tanh", "relu", "silu"] as const
export type Activation = (typeof activations)[number]

/** Whose pixels an imported model was trained on: see Processor.ts of the data room. */
export const imageProcessors = ["transformers_pillow", "transformers_torchvision", "open_clip"] as const
export type ImageProcessor = (typeof imageProcessors)[number]

/** How images become pixels, where it isn't as the papers' code does it. */
interface ImageSettings {
  readonly image_processor?: ImageProcessor
  readonly image_mean?: Triple
  readonly image_std?: Triple
}

export interface TowerConfig {
  readonly hidden_size: number
  readonly intermediate_size: number
  readonly num_hidden_layers: number
  readonly num_attention_heads: number
  readonly hidden_act: Activation
  readonly layer_norm_eps: number
}

export interface VisionConfig extends TowerConfig {
  readonly image_size: number
  readonly patch_size: number
}

export interface TextConfig extends TowerConfig {
  /**
   * `clip_text_model`: causal, end-of-text pooling. `bert`: bidirectional, [CLS]. `blip_text_model`: BLIP's MED.
   * `siglip_text_model`: bidirectional, the last place of a padded row.
   */
  readonly model_type: "clip_text_model" | "bert" | "blip_text_model" | "siglip_text_model"
  readonly vocab_size: number
  readonly max_position_embeddings: number
}

export interface ClipTextConfig extends TextConfig {
  /** Where a causal tower is pooled: its first place in a row. 2 means the highest id's place (OpenAI's checkpoints). */
  readonly eos_token_id: number
}

export interface BlipTextConfig extends TextConfig {
  /** [DEC], which starts a caption, and [SEP], which ends it. */
  readonly bos_token_id: number
  readonly sep_token_id: number
}

export interface SiglipTextConfig extends TextConfig {
  /** Width of the embeddings, which is that of the image tower. */
  readonly projection_size: number
}

export interface ClipConfig extends ImageSettings {
  readonly model_type: "clip"
  readonly architectures: ReadonlyArray<string>
  readonly projection_dim: number
  readonly logit_scale_init_value: number
  /** Where it is given, the model has a `logit_bias`, which the sigmoid loss needs. */
  readonly logit_bias_init_value?: number
  readonly vision_config: VisionConfig
  readonly text_config: ClipTextConfig
}

export interface BlipConfig extends ImageSettings {
  readonly model_type: "blip"
  /** `BlipModel` has other contrastive heads than BLIP itself: see Blip.ts. */
  readonly architectures: ReadonlyArray<string>
  /** Size of the contrastive space, 256 in the paper. */
  readonly image_text_hidden_size: number
  readonly projection_dim: number
  readonly logit_scale_init_value: number
  /** Standard deviation of the initial weights of the towers and the embeddings. */
  readonly initializer_range: number
  /** false: an output matrix of its own, as the official pre-training ends up with. */
  readonly tie_word_embeddings: boolean
  /** Longest text that operators make, [CLS] and [SEP] included; at most max_position_embeddings. */
  readonly max_text_length: number
  readonly vision_config: VisionConfig
  readonly text_config: BlipTextConfig
}

export interface SiglipConfig extends ImageSettings {
  readonly model_type: "siglip"
  readonly architectures: ReadonlyArray<string>
  readonly logit_scale_init_value: number
  readonly logit_bias_init_value: number
  /** Its last norm is pooled by attention; the result is the embedding, so both towers are equally wide. */
  readonly vision_config: VisionConfig
  readonly text_config: SiglipTextConfig
}

export type ModelConfig = ClipConfig | BlipConfig | SiglipConfig

const tower = (section: Section, hidden_act: Activation, layer_norm_eps: number): TowerConfig => {
  const config = {
    hidden_size: section.size("hidden_size"),
    intermediate_size: section.size("intermediate_size"),
    num_hidden_layers: section.size("num_hidden_layers"),
    num_attention_heads: section.size("num_attention_heads"),
    hidden_act: section.oneOf("hidden_act", activations, hidden_act),
    layer_norm_eps: section.real("layer_norm_eps", layer_norm_eps)
  }
  if (config.hidden_size % config.num_attention_heads !== 0)
    section.wrong("num_attention_heads", `a divisor of hidden_size ${config.hidden_size}`, config.num_attention_heads)
  return config
}

const vision = (section: Section, hidden_act: Activation, layer_norm_eps = 1e-5): VisionConfig => {
  const config = {
    ...tower(section, hidden_act, layer_norm_eps),
    image_size: section.size("image_size"),
    patch_size: section.size("patch_size")
  }
  if (section.size("num_channels", 3) !== 3) section.wrong("num_channels", "3", section.size("num_channels", 3))
  return config
}

/** CLIP's and BLIP's patches cover the image. */
const coveringVision = (section: Section, hidden_act: Activation): VisionConfig => {
  const config = vision(section, hidden_act)
  if (config.image_size % config.patch_size !== 0)
    section.wrong("patch_size", `a divisor of image_size ${config.image_size}`, config.patch_size)
  return config
}

const imageSettings = (root: Section): ImageSettings => {
  const image_processor = root.optionalOneOf("image_processor", imageProcessors)
  const [image_mean, image_std] = [root.triple("image_mean"), root.triple("image_std")]
  return {
    ...(image_processor && { image_processor }),
    ...(image_mean && { image_mean }),
    ...(image_std && { image_std })
  }
}

const clipConfig = (root: Section): ClipConfig => {
  const text = root.section("text_config")
  const model_type = text.oneOf("model_type", ["clip_text_model", "bert"], "clip_text_model")
  const bert = model_type === "bert"
  const bias = root.optionalReal("logit_bias_init_value")
  return {
    model_type: "clip",
    architectures: ["CLIPModel"],
    projection_dim: root.size("projection_dim", 512),
    logit_scale_init_value: root.real("logit_scale_init_value", 2.6592),
    ...(bias === undefined ? {} : { logit_bias_init_value: bias }),
    ...imageSettings(root),
    vision_config: coveringVision(root.section("vision_config"), "quick_gelu"),
    text_config: {
      model_type,
      ...tower(text, bert ? "gelu" : "quick_gelu", bert ? 1e-12 : 1e-5),
      vocab_size: text.size("vocab_size"),
      max_position_embeddings: text.size("max_position_embeddings", 77),
      eos_token_id: text.tokenId("eos_token_id", 2)
    }
  }
}

const blipConfig = (root: Section): BlipConfig => {
  const text = root.section("text_config")
  const max_position_embeddings = text.size("max_position_embeddings", 512)
  const config: BlipConfig = {
    model_type: "blip",
    architectures: root.names("architectures"),
    image_text_hidden_size: root.size("image_text_hidden_size", 256),
    projection_dim: root.size("projection_dim", 512),
    logit_scale_init_value: root.real("logit_scale_init_value", 2.6592),
    initializer_range: root.real("initializer_range", 0.02),
    tie_word_embeddings: root.flag("tie_word_embeddings", true),
    max_text_length: root.size("max_text_length", Math.min(40, max_position_embeddings)),
    ...imageSettings(root),
    vision_config: coveringVision(root.section("vision_config"), "gelu"),
    text_config: {
      model_type: "blip_text_model",
      ...tower(text, "gelu", 1e-12),
      vocab_size: text.size("vocab_size"),
      max_position_embeddings,
      bos_token_id: text.tokenId("bos_token_id", 30522),
      sep_token_id: text.tokenId("sep_token_id", 102)
    }
  }
  if (config.max_text_length > max_position_embeddings)
    root.wrong("max_text_length", `at most ${max_position_embeddings} positions`, config.max_text_length)
  return config
}

/** Zhai et al. 2023, algorithm 1: the scale begins at 10, the bias at -10. */
const siglipConfig = (root: Section): SiglipConfig => {
  const [image, text] = [root.section("vision_config"), root.section("text_config")]
  const vision_config = vision(image, "gelu_pytorch_tanh", 1e-6)
  const { hidden_size, image_size, patch_size } = vision_config
  if (patch_size > image_size) image.wrong("patch_size", `at most image_size ${image_size}`, patch_size)
  const textTower = tower(text, "gelu_pytorch_tanh", 1e-6)
  const text_config = {
    model_type: text.oneOf("model_type", ["siglip_text_model"], "siglip_text_model"),
    ...textTower,
    vocab_size: text.size("vocab_size"),
    max_position_embeddings: text.size("max_position_embeddings", 64),
    projection_size: text.size("projection_size", textTower.hidden_size)
  }
  if (text_config.projection_size !== hidden_size)
    text.wrong("projection_size", `vision_config.hidden_size ${hidden_size}`, text_config.projection_size)
  return {
    model_type: "siglip",
    architectures: ["SiglipModel"],
    logit_scale_init_value: root.real("logit_scale_init_value", Math.log(10)),
    logit_bias_init_value: root.real("logit_bias_init_value", -10),
    ...imageSettings(root),
    vision_config,
    text_config
  }
}

const parsers = { clip: clipConfig, blip: blipConfig, siglip: siglipConfig } as const

/** Checks a parsed JSON config. Throws a `ConfigError` with every problem found. */
export const parseConfig = (config: unknown): ModelConfig => {
  const problems: Array<string> = []
  const root = new Section(config, "", problems)
  const model_type = problems.length > 0 ? "clip" : root.oneOf("model_type", ["clip", "blip", "siglip"])
  if (problems.length > 0) throw new ConfigError(problems)
  const parsed = parsers[model_type](root)
  if (problems.length > 0) throw new ConfigError(problems)
  return parsed
}
