/**
 * Sizes by name. A preset is a JSON file with the image tower, and a text tower for each architecture that it makes sense
 * for; activations, epsilons and token ids are the architecture's.
 */
import type { ModelConfig } from "./Config.ts"
import type { Model } from "./Model.ts"
import { parseConfig } from "./Config.ts"
import clipVitBert from "./presets/clip-vit-bert.json" with { type: "json" }
import micro from "./presets/micro.json" with { type: "json" }
import nano from "./presets/nano.json" with { type: "json" }
import tiny from "./presets/tiny.json" with { type: "json" }
import vitB16 from "./presets/vit-b-16.json" with { type: "json" }
import vitB32 from "./presets/vit-b-32.json" with { type: "json" }
import vitL14 from "./presets/vit-l-14.json" with { type: "json" }
import vitSo400m14 from "./presets/vit-so400m-14.json" with { type: "json" }
import vitS16 from "./presets/vit-s-16.json" with { type: "json" }
import { SPECIAL_TOKENS } from "./text/SpecialTokens.ts"

interface TextPart {
  readonly text_config: object
}

interface Preset {
  readonly description: string
  readonly vision_config: object
  readonly clip?: TextPart & { readonly projection_dim: number }
  readonly blip?: TextPart & {
    readonly image_text_hidden_size: number
    readonly max_text_length: number
    /** BERT's 0.02 suits a width of 768; narrow models need about 0.02 sqrt(768 / width), or ITM stays at chance. */
    readonly initializer_range?: number
  }
  readonly siglip?: TextPart
}

const presets: Readonly<Record<string, Preset>> = {
  nano,
  micro,
  tiny,
  "vit-s-16": vitS16,
  "vit-b-16": vitB16,
  "vit-b-32": vitB32,
  "vit-l-14": vitL14,
  "vit-so400m-14": vitSo400m14,
  "clip-vit-bert": clipVitBert
}

export type Architecture = Model["architecture"]

export const presetNames = (architecture: Architecture): ReadonlyArray<string> =>
  Object.keys(presets).filter((name) => presets[name]?.[architecture] !== undefined)

export interface PresetOptions {
  /** Size of a vocabulary made by `trainWordPiece`. Without it: the published vocabularies' sizes and token ids. */
  readonly vocab_size?: number
}

const idOf = (token: string): number => SPECIAL_TOKENS.indexOf(token)

const clipOf = (preset: Preset, part: NonNullable<Preset["clip"]>, vocab_size: number | undefined): unknown => {
  const bert = "model_type" in part.text_config && part.text_config.model_type === "bert"
  const published = bert ? { vocab_size: 30522, eos_token_id: 102 } : { vocab_size: 49408, eos_token_id: 49407 }
  return {
    model_type: "clip",
    projection_dim: part.projection_dim,
    vision_config: { ...preset.vision_config, hidden_act: "quick_gelu", layer_norm_eps: 1e-5 },
    text_config: {
      ...(bert ? { hidden_act: "gelu", layer_norm_eps: 1e-12 } : { hidden_act: "quick_gelu", layer_norm_eps: 1e-5 }),
      ...part.text_config,
      ...(vocab_size === undefined ? published : { vocab_size, eos_token_id: idOf("[SEP]") })
    }
  }
}

const blipOf = (preset: Preset, part: NonNullable<Preset["blip"]>, vocab_size: number | undefined): unknown => ({
  model_type: "blip",
  ...part,
  vision_config: { ...preset.vision_config, hidden_act: "gelu", layer_norm_eps: 1e-6 },
  text_config: {
    ...part.text_config,
    hidden_act: "gelu",
    layer_norm_eps: 1e-12,
    ...(vocab_size === undefined
      ? { vocab_size: 30524, bos_token_id: 30522, sep_token_id: 102 }
      : { vocab_size, bos_token_id: idOf("[DEC]"), sep_token_id: idOf("[SEP]") })
  }
})

const siglipOf = (preset: Preset, part: NonNullable<Preset["siglip"]>, vocab_size: number | undefined): unknown => ({
  model_type: "siglip",
  vision_config: preset.vision_config,
  text_config: { ...part.text_config, vocab_size: vocab_size ?? 32000 }
})

/** The config of a preset, ready for `modelFromConfig`. Throws on an unknown name, listing those there are. */
export const preset = (architecture: Architecture, name: string, options: PresetOptions = {}): ModelConfig => {
  const found = Object.hasOwn(presets, name) ? presets[name] : undefined
  const made = {
    clip: () => found?.clip && clipOf(found, found.clip, options.vocab_size),
    blip: () => found?.blip && blipOf(found, found.blip, options.vocab_size),
    siglip: () => found?.siglip && siglipOf(found, found.siglip, options.vocab_size)
  }
  const config = made[architecture]()
  if (config === undefined)
    throw new Error(`no preset "${name}" for ${architecture}; there are ${presetNames(architecture).join(", ")}`)
  return parseConfig(config)
}
