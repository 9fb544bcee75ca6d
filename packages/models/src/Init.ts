/**
 * Initial weights: what each name is drawn from, and the draw, keyed by (seed, name).
 *
 * CLIP as OpenAI's code draws it (`CLIP.initialize_parameters`; vision blocks keep PyTorch's defaults). BLIP as its code
 * does: the ViT's and BERT's linear layers and embeddings N(0, initializer_range), 0.02 at its width of 768; heads as
 * PyTorch's Linear. SigLIP as its code does: attention and feed-forward Xavier, the rest N(0, 1 / fan in).
 */
import type { BlipConfig, ClipConfig, SiglipConfig } from "./Config.ts"
import type { Arrays, Shapes } from "./Model.ts"
import { normals, randomKey, uniforms } from "./Random.ts"

type Draw =
  | { readonly kind: "normal"; readonly std: number }
  /** Uniform in (-bound, bound). */
  | { readonly kind: "uniform"; readonly bound: number }
  | { readonly kind: "constant"; readonly value: number }

const normal = (std: number): Draw => ({ kind: "normal", std })
const uniform = (bound: number): Draw => ({ kind: "uniform", bound })
const constant = (value: number): Draw => ({ kind: "constant", value })

const sizeOf = (shape: ReadonlyArray<number>): number => shape.reduce((product, size) => product * size, 1)
const isNorm = (name: string): boolean => /(norm\d?|layrnorm|LayerNorm)\.(weight|bias)$/.test(name)

/** PyTorch's Linear and Conv2d: weight and bias uniform in 1 / sqrt(fan in). */
const torchDefault = (name: string, shapes: Shapes): Draw => {
  const weight = shapes[name.replace(/\.bias$/, ".weight")]
  if (weight === undefined) throw new Error(`no weight beside ${name}`)
  return uniform(1 / Math.sqrt(sizeOf(weight.slice(1))))
}

const clipVisionDraw = (name: string, shapes: Shapes, width: number): Draw => {
  if (/(class|position)_embedding/.test(name)) return normal(width ** -0.5)
  if (/self_attn\..*bias$/.test(name)) return constant(0)
  // PyTorch draws the fused [3D, D] matrix of q, k and v with Xavier's bound.
  if (/self_attn\.[qkv]_proj\.weight$/.test(name)) return uniform(Math.sqrt(6 / (4 * width)))
  return torchDefault(name, shapes)
}

const clipTextDraw = (name: string, shapes: Shapes, width: number, num_layers: number): Draw => {
  if (name.endsWith("token_embedding.weight")) return normal(0.02)
  if (name.endsWith("position_embedding.weight")) return normal(0.01)
  if (/self_attn\..*bias$/.test(name)) return constant(0)
  if (name.endsWith("bias")) return torchDefault(name, shapes)
  if (/self_attn\.[qkv]_proj/.test(name)) return normal(width ** -0.5)
  if (name.endsWith("mlp.fc1.weight")) return normal((2 * width) ** -0.5)
  return normal(width ** -0.5 * (2 * num_layers) ** -0.5)
}

const bertDraw = (name: string, std: number): Draw => (name.endsWith("bias") ? constant(0) : normal(std))

const clipDraw = (config: ClipConfig, shapes: Shapes, name: string): Draw => {
  const { vision_config, text_config } = config
  if (name === "logit_scale") return constant(config.logit_scale_init_value)
  if (name === "logit_bias") return constant(config.logit_bias_init_value ?? 0)
  if (isNorm(name)) return constant(name.endsWith("weight") ? 1 : 0)
  if (name === "visual_projection.weight") return normal(vision_config.hidden_size ** -0.5)
  if (name === "text_projection.weight") return normal(text_config.hidden_size ** -0.5)
  if (name.startsWith("vision_model.")) return clipVisionDraw(name, shapes, vision_config.hidden_size)
  if (text_config.model_type === "bert") return bertDraw(name, 0.02)
  return clipTextDraw(name, shapes, text_config.hidden_size, text_config.num_hidden_layers)
}

const blipDraw = (config: BlipConfig, shapes: Shapes, name: string): Draw => {
  if (name === "temp") return constant(0.07)
  if (name === "logit_scale") return constant(config.logit_scale_init_value)
  if (isNorm(name)) return constant(name.endsWith("weight") ? 1 : 0)
  if (/^(vision_proj|text_proj|itm_head)\./.test(name)) return torchDefault(name, shapes)
  if (name.endsWith("patch_embedding.bias")) return torchDefault(name, shapes)
  return bertDraw(name, config.initializer_range)
}

/** Uniform with the variance 2 / (fan in + fan out) (Glorot and Bengio 2010). */
const xavier = (num_out: number, num_in: number): Draw => uniform(Math.sqrt(6 / (num_out + num_in)))

const siglipDraw = (config: SiglipConfig, shapes: Shapes, name: string): Draw => {
  const shape = shapes[name]!
  const [rows = 1, width = 1] = shape
  if (name === "logit_scale") return constant(config.logit_scale_init_value)
  if (name === "logit_bias") return constant(config.logit_bias_init_value)
  if (isNorm(name)) return constant(name.endsWith("weight") ? 1 : 0)
  if (/mlp\.fc\d\.bias$/.test(name)) return normal(1e-6)
  if (name.endsWith("bias")) return constant(0)
  if (name.endsWith("probe")) return xavier(shape.at(-1)!, 1)
  // Queries, keys and values are three square matrices there, fused here.
  if (name.endsWith("in_proj_weight")) return xavier(width, width)
  if (/(self_attn|attention|mlp)\./.test(name)) return xavier(rows, width)
  if (name.endsWith("embedding.weight") && shape.length === 2) return normal(width ** -0.5)
  return normal(sizeOf(shape.slice(1)) ** -0.5)
}

const drawValues = (seed: number, name: string, count: number, draw: Draw): Float32Array => {
  if (draw.kind === "constant") return new Float32Array(count).fill(draw.value)
  const key = randomKey(seed, "init", name)
  if (draw.kind === "normal") return normals(key, count).map((value) => value * draw.std)
  return uniforms(key, count).map((value) => (2 * value - 1) * draw.bound)
}

const drawAll = (seed: number, shapes: Shapes, names: ReadonlyArray<string>, drawOf: (name: string) => Draw): Arrays =>
  Object.fromEntries(names.map((name) => [name, drawValues(seed, name, sizeOf(shapes[name]!), drawOf(name))]))

export const initClip = (
  config: ClipConfig,
  shapes: Shapes,
  seed: number,
  names: ReadonlyArray<string> = Object.keys(shapes)
): Arrays => drawAll(seed, shapes, names, (name) => clipDraw(config, shapes, name))

export const initBlip = (
  config: BlipConfig,
  shapes: Shapes,
  seed: number,
  names: ReadonlyArray<string> = Object.keys(shapes)
): Arrays => drawAll(seed, shapes, names, (name) => blipDraw(config, shapes, name))

export const initSiglip = (
  config: SiglipConfig,
  shapes: Shapes,
  seed: number,
  names: ReadonlyArray<string> = Object.keys(shapes)
): Arrays => drawAll(seed, shapes, names, (name) => siglipDraw(config, shapes, name))
