/**
 * A config.json as transformers means it: older files say a tower twice, and newer ones leave out what is a default.
 *
 * Keys whose values change what a model computes, and that only one value of is implemented, are checked here by name.
 */
import { ConfigError } from "./Config.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const classes = {
  clip: ["CLIPModel"],
  blip: ["BlipForImageTextRetrieval", "BlipForConditionalGeneration", "BlipModel"],
  siglip: ["SiglipModel"]
} as const
type Family = keyof typeof classes
const families = Object.keys(classes) as ReadonlyArray<Family>
const architectures: ReadonlyArray<string> = Object.values(classes).flat()

/** Sizes of transformers' text and vision configs of each family. */
const towers = {
  clip: {
    text_config: {
      vocab_size: 49408,
      hidden_size: 512,
      intermediate_size: 2048,
      num_hidden_layers: 12,
      num_attention_heads: 8
    },
    vision_config: {
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      image_size: 224,
      patch_size: 32
    }
  },
  blip: {
    text_config: {
      vocab_size: 30524,
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 8
    },
    vision_config: {
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      image_size: 384,
      patch_size: 16
    }
  },
  siglip: {
    text_config: {
      vocab_size: 32000,
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12
    },
    vision_config: {
      hidden_size: 768,
      intermediate_size: 3072,
      num_hidden_layers: 12,
      num_attention_heads: 12,
      image_size: 224,
      patch_size: 16
    }
  }
} as const

/** Values that the implementation has built in; another one is refused. */
const builtIn: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  position_embedding_type: ["absolute"],
  add_cross_attention: [true, false],
  qkv_bias: [true],
  attention_bias: [true],
  num_channels: [3],
  vision_use_head: [true],
  quantization_config: []
}

const problemsIn = (section: Json, path: string): ReadonlyArray<string> =>
  Object.entries(section).flatMap(([key, value]) => {
    const allowed = builtIn[key]
    if (allowed === undefined || value === null || allowed.includes(value)) return []
    const expected = allowed.length === 0 ? "nothing" : allowed.map((each) => JSON.stringify(each)).join(" or ")
    return [`${path}${key}: expected ${expected}, got ${JSON.stringify(value)}`]
  })

const tower = (root: Json, family: Family, name: "text_config" | "vision_config"): Json => {
  const given = root[name]
  // transformers up to 4.2x wrote the towers under both names; the second one wins there.
  const older = root[`${name}_dict`]
  return {
    ...towers[family][name],
    ...(isObject(given) ? given : {}),
    ...(isObject(older) ? older : {})
  }
}

/** The config for `modelFromConfig`. Throws a `ConfigError` that names what isn't supported. */
export const huggingFaceConfig = (config: unknown): Json => {
  if (!isObject(config)) throw new ConfigError(["the config: expected an object"])
  const named = Array.isArray(config["architectures"]) ? config["architectures"] : []
  const unknown = named.filter((name) => !architectures.includes(name as string))
  if (unknown.length > 0)
    throw new ConfigError([
      `architectures: expected one of ${architectures.join(", ")}, got ${unknown.map(String).join(", ")}`
    ])
  const family = families.find((name) => name === config["model_type"])
  if (family === undefined) {
    const known = families.map((name) => JSON.stringify(name)).join(" or ")
    throw new ConfigError([`model_type: expected ${known}, got ${JSON.stringify(config["model_type"])}`])
  }
  const text_config = tower(config, family, "text_config")
  const vision_config = tower(config, family, "vision_config")
  const problems = [
    ...problemsIn(config, ""),
    ...problemsIn(text_config, "text_config."),
    ...problemsIn(vision_config, "vision_config.")
  ]
  if (problems.length > 0) throw new ConfigError(problems)
  return { ...config, text_config, vision_config }
}
