/**
 * A checkpoint folder's config and tensor names, matched with a model: which part of which tensor each weight is.
 *
 * Only names and configs are looked at here; whoever reads the files follows the plan tensor by tensor. A config that asks for
 * what isn't implemented, a weight that is missing and a tensor that belongs nowhere are refused by name: half-right
 * numbers are worse than none.
 */
import { ConfigError, type BlipConfig, type ImageProcessor } from "./Config.ts"
import { fromHuggingFace } from "./HuggingFaceNames.ts"
import { huggingFaceConfig } from "./HuggingFaceConfig.ts"
import type { Model } from "./Model.ts"
import { modelFromConfig } from "./ModelFromConfig.ts"
import { imageScalingIn } from "./PreprocessorConfig.ts"
import { openClipConfig, openClipSources } from "./OpenClip.ts"

/** A tensor of the checkpoint, or rows [start, end) of its first axis, or its transpose. */
export interface WeightSource {
  readonly tensor: string
  readonly rows?: readonly [number, number]
  readonly transposed?: true
}

export interface CheckpointPlan {
  readonly model: Model
  readonly sources: Readonly<Record<string, WeightSource>>
  /** Weights of heads that this class doesn't have: they take initial values. */
  readonly missing: ReadonlyArray<string>
}

/** Buffers and second names of tied weights that checkpoints carry along. */
const CARRIED = /(position_ids|_queue|queue_ptr|predictions\.decoder\.(weight|bias)|_m\..*|attn_mask)$/

/** What each class of transformers leaves out of MED. */
const absentIn: Readonly<Record<string, RegExp>> = {
  BlipForImageTextRetrieval: /^(temp$|text_decoder\.)/,
  BlipForConditionalGeneration: /^(temp$|vision_proj\.|text_proj\.|itm_head\.|text_encoder\..*\.attention\.)/,
  BlipModel: /^(itm_head\.|text_decoder\.|text_encoder\..*\.crossattention\.)/
}

const isAbsent = (model: Model, name: string): boolean =>
  model.architecture === "blip" &&
  (model.config as BlipConfig).architectures.some((architecture) => absentIn[architecture]?.test(name) === true)

const checkPlan = (model: Model, missing: ReadonlyArray<string>, unused: ReadonlyArray<string>): void => {
  const lost = missing.filter((name) => !isAbsent(model, name))
  const strange = unused.filter((name) => !CARRIED.test(name))
  const list = (names: ReadonlyArray<string>): string =>
    names.slice(0, 3).join(", ") + (names.length > 3 ? ` and ${names.length - 3} more` : "")
  const problems = [
    ...(lost.length > 0 ? [`the checkpoint has no tensor for ${list(lost)}`] : []),
    ...(strange.length > 0 ? [`no weight of this config is filled from ${list(strange)}`] : [])
  ]
  if (problems.length > 0) throw new ConfigError(problems)
}

/** The model of a config, with the checkpoint's own image settings where it has some, and its library's pixels. */
const modelWith = (config: object, settings: unknown, image_processor: ImageProcessor): Model => {
  const model = modelFromConfig(config)
  const scaling = imageScalingIn(settings, model.preprocess)
  return modelFromConfig({ ...config, ...scaling, image_processor })
}

/** `config`: a parsed config.json; `settings`: preprocessor_config.json, if there is one. Throws a `ConfigError`. */
export const planHuggingFace = (
  config: unknown,
  tensor_names: Iterable<string>,
  settings?: unknown
): CheckpointPlan => {
  const model = modelWith(huggingFaceConfig(config), settings, "transformers_pillow")
  const { names, missing, unused } = fromHuggingFace(model, tensor_names)
  checkPlan(model, missing, unused)
  const sources = Object.entries(names).map(([name, tensor]) => [name, { tensor }])
  return { model, sources: Object.fromEntries(sources), missing }
}

/** `config`: a parsed open_clip_config.json. Throws a `ConfigError`. */
export const planOpenClip = (config: unknown, tensor_names: Iterable<string>): CheckpointPlan => {
  const parsed = openClipConfig(config)
  const settings = (config as { readonly preprocess_cfg?: unknown }).preprocess_cfg
  const model = modelWith(parsed, settings, "open_clip")
  const available = new Set(tensor_names)
  const all = openClipSources(parsed, available)
  const missing = Object.keys(model.shapes).filter((name) => !available.has(all[name]?.tensor ?? ""))
  const used = new Set(Object.values(all).map(({ tensor }) => tensor))
  checkPlan(
    model,
    missing,
    [...available].filter((name) => !used.has(name))
  )
  return { model, sources: all, missing }
}
