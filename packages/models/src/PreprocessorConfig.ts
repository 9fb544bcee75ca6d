/**
 * preprocessor_config.json: how the images of a checkpoint are resized and scaled, for transformers' CLIPImageProcessor,
 * BlipImageProcessor and SiglipImageProcessor; and open_clip's `preprocess_cfg`. Both are checked against what is implemented, and written.
 */
import { ConfigError } from "./Config.ts"
import type { Model, Preprocess } from "./Model.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** A size is a number, a square, or a shortest edge. */
const sideOf = (value: unknown): unknown =>
  isObject(value) ? (value["shortest_edge"] ?? (value["height"] === value["width"] ? value["height"] : value)) : value

/** What a setting must be where it is given at all. */
const wanted = ({ image_size, resize }: Preprocess): Json => {
  const crops = resize === "shortest_side_center_crop"
  return {
    do_resize: true,
    do_rescale: true,
    do_normalize: true,
    do_convert_rgb: true,
    resample: 3,
    do_center_crop: crops,
    size: image_size,
    ...(crops ? { crop_size: image_size } : {}),
    interpolation: "bicubic",
    mode: "RGB",
    resize_mode: "shortest"
  }
}

/**
 * The image_mean and image_std of settings that fit the model, as keys of its config. Throws a `ConfigError` that names a
 * setting with no counterpart here.
 */
export const imageScalingIn = (settings: unknown, preprocess: Preprocess): Json => {
  if (!isObject(settings)) return {}
  const problems = Object.entries(wanted(preprocess)).flatMap(([key, expected]) => {
    const given = settings[key]
    if (given === undefined || given === null || sideOf(given) === expected) return []
    return [`preprocessor_config.json: ${key}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(given)}`]
  })
  const factor = settings["rescale_factor"]
  if (typeof factor === "number" && Math.abs(factor * 255 - 1) > 1e-6)
    problems.push(`preprocessor_config.json: rescale_factor: expected 1 / 255, got ${factor}`)
  if (problems.length > 0) throw new ConfigError(problems)
  const image_mean = settings["image_mean"] ?? settings["mean"]
  const image_std = settings["image_std"] ?? settings["std"]
  return { ...(image_mean === undefined ? {} : { image_mean }), ...(image_std === undefined ? {} : { image_std }) }
}

const processors = {
  clip: "CLIPImageProcessor",
  blip: "BlipImageProcessor",
  siglip: "SiglipImageProcessor"
} as const

/** What transformers' image processor of this model is told. */
export const preprocessorConfig = ({ preprocess, architecture }: Model): Json => {
  const { image_size, image_mean, image_std, resize } = preprocess
  const crops = resize === "shortest_side_center_crop"
  return {
    image_processor_type: processors[architecture],
    do_convert_rgb: true,
    do_resize: true,
    size: crops ? { shortest_edge: image_size } : { height: image_size, width: image_size },
    resample: 3,
    do_center_crop: crops,
    ...(crops ? { crop_size: { height: image_size, width: image_size } } : {}),
    do_rescale: true,
    rescale_factor: 1 / 255,
    do_normalize: true,
    image_mean,
    image_std
  }
}
