/**
 * open_clip's configs and tensor names in our words.
 *
 * | here | open_clip |
 * |---|---|
 * | q_proj, k_proj, v_proj | a third each of attn.in_proj_weight and attn.in_proj_bias |
 * | mlp.fc1, mlp.fc2 | mlp.c_fc, mlp.c_proj |
 * | visual_projection, text_projection [E, D] | visual.proj, text_projection [D, E], transposed |
 *
 * With `custom_text` the text tower's tensors stand under `text.`. Ilharco et al. 2021.
 */
import type { WeightSource } from "./Checkpoint.ts"
import { ConfigError, parseConfig, type ClipConfig, type TowerConfig } from "./Config.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** Keys that say something which is read below. */
const read: Readonly<Record<string, ReadonlyArray<string>>> = {
  "": ["embed_dim", "quick_gelu", "vision_cfg", "text_cfg", "init_logit_scale", "init_logit_bias"],
  "vision_cfg.": ["layers", "width", "head_width", "mlp_ratio", "patch_size", "image_size", "norm_kwargs"],
  "text_cfg.": ["context_length", "vocab_size", "width", "heads", "layers", "mlp_ratio", "norm_kwargs"]
}

/** Keys that change nothing for a model of this family: training only, tokenizer, bookkeeping. */
const silent = [
  "cast_dtype",
  "preprocess_cfg",
  "custom_text",
  "patch_dropout",
  "hf_tokenizer_name",
  "tokenizer_kwargs",
  "hf_model_pretrained",
  "output_tokens",
  "description"
]

/** Keys whose only supported values are these. */
const builtIn: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  pool_type: ["tok", "argmax"],
  pos_embed_type: ["learnable"],
  proj_type: ["linear"]
}

const isOff = (value: unknown): boolean => value === null || value === false || value === 0

const problemsIn = (section: Json, path: string): ReadonlyArray<string> =>
  Object.entries(section).flatMap(([key, value]) => {
    if (read[path]!.includes(key) || silent.includes(key) || isOff(value)) return []
    if (builtIn[key]?.includes(value) === true) return []
    return [`${path}${key}: ${JSON.stringify(value)} is not supported`]
  })

const numberOr = (value: unknown, fallback: number): number => (typeof value === "number" ? value : fallback)

const epsOf = (section: Json): number => {
  const kwargs = section["norm_kwargs"]
  return isObject(kwargs) ? numberOr(kwargs["eps"], 1e-5) : 1e-5
}

const towerOf = (section: Json, heads: unknown, hidden_act: string): Json => ({
  hidden_size: section["width"],
  intermediate_size: numberOr(section["width"], 0) * numberOr(section["mlp_ratio"], 4),
  num_hidden_layers: section["layers"],
  num_attention_heads: heads,
  hidden_act,
  layer_norm_eps: epsOf(section)
})

/** A parsed open_clip_config.json, as the hub has it (`model_cfg`) or a plain model config. Throws a `ConfigError`. */
export const openClipConfig = (config: unknown): ClipConfig => {
  const root = isObject(config) && isObject(config["model_cfg"]) ? config["model_cfg"] : config
  if (!isObject(root)) throw new ConfigError(["open_clip_config.json: expected an object"])
  const { vision_cfg: vision, text_cfg: text, embed_dim, quick_gelu } = root
  if (!isObject(vision) || !isObject(text)) throw new ConfigError(["vision_cfg, text_cfg: expected an object each"])
  const problems = [...problemsIn(root, ""), ...problemsIn(vision, "vision_cfg."), ...problemsIn(text, "text_cfg.")]
  if (Array.isArray(vision["layers"])) problems.push("vision_cfg.layers: a ResNet tower is not supported")
  if (problems.length > 0) throw new ConfigError(problems)
  const hidden_act = quick_gelu === true ? "quick_gelu" : "gelu"
  return parseConfig({
    model_type: "clip",
    projection_dim: embed_dim,
    ...(typeof root["init_logit_scale"] === "number" ? { logit_scale_init_value: root["init_logit_scale"] } : {}),
    ...(typeof root["init_logit_bias"] === "number" ? { logit_bias_init_value: root["init_logit_bias"] } : {}),
    vision_config: {
      ...towerOf(vision, numberOr(vision["width"], 0) / numberOr(vision["head_width"], 64), hidden_act),
      image_size: vision["image_size"] ?? 224,
      patch_size: vision["patch_size"]
    },
    text_config: {
      model_type: "clip_text_model",
      ...towerOf(text, text["heads"] ?? 8, hidden_act),
      vocab_size: text["vocab_size"] ?? 49408,
      max_position_embeddings: text["context_length"] ?? 77,
      // open_clip pools at the highest id.
      eos_token_id: 2
    }
  }) as ClipConfig
}

type Sources = Readonly<Record<string, WeightSource>>

const pairs = (ours: string, theirs: string): Sources => ({
  [`${ours}.weight`]: { tensor: `${theirs}.weight` },
  [`${ours}.bias`]: { tensor: `${theirs}.bias` }
})

const blockSources = (ours: string, theirs: string, width: number): Sources => {
  const parts = ["q_proj", "k_proj", "v_proj"].flatMap((part, i) =>
    ["weight", "bias"].map((kind) => [
      `${ours}.self_attn.${part}.${kind}`,
      { tensor: `${theirs}.attn.in_proj_${kind}`, rows: [i * width, (i + 1) * width] as const }
    ])
  )
  return {
    ...(Object.fromEntries(parts) as Sources),
    ...pairs(`${ours}.self_attn.out_proj`, `${theirs}.attn.out_proj`),
    ...pairs(`${ours}.layer_norm1`, `${theirs}.ln_1`),
    ...pairs(`${ours}.layer_norm2`, `${theirs}.ln_2`),
    ...pairs(`${ours}.mlp.fc1`, `${theirs}.mlp.c_fc`),
    ...pairs(`${ours}.mlp.fc2`, `${theirs}.mlp.c_proj`)
  }
}

const towerSources = (ours: string, theirs: string, { num_hidden_layers, hidden_size }: TowerConfig): Sources =>
  Object.assign(
    {},
    ...Array.from({ length: num_hidden_layers }, (_, layer) =>
      blockSources(`${ours}.encoder.layers.${layer}`, `${theirs}transformer.resblocks.${layer}`, hidden_size)
    )
  )

/** Where each weight of the model stands among open_clip's tensors. */
export const openClipSources = (config: ClipConfig, available: ReadonlySet<string>): Sources => {
  const text = available.has("text.token_embedding.weight") ? "text." : ""
  return {
    logit_scale: { tensor: "logit_scale" },
    ...(config.logit_bias_init_value === undefined ? {} : { logit_bias: { tensor: "logit_bias" } }),
    "vision_model.embeddings.class_embedding": { tensor: "visual.class_embedding" },
    "vision_model.embeddings.patch_embedding.weight": { tensor: "visual.conv1.weight" },
    "vision_model.embeddings.position_embedding.weight": { tensor: "visual.positional_embedding" },
    ...pairs("vision_model.pre_layrnorm", "visual.ln_pre"),
    ...towerSources("vision_model", "visual.", config.vision_config),
    ...pairs("vision_model.post_layernorm", "visual.ln_post"),
    "visual_projection.weight": { tensor: "visual.proj", transposed: true },
    "text_model.embeddings.token_embedding.weight": { tensor: `${text}token_embedding.weight` },
    "text_model.embeddings.position_embedding.weight": { tensor: `${text}positional_embedding` },
    ...towerSources("text_model", text, config.text_config),
    ...pairs("text_model.final_layer_norm", `${text}ln_final`),
    "text_projection.weight": { tensor: `${text}text_projection`, transposed: true }
  }
}
