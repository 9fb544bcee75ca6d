/**
 * preprocessor_config.json: how the images of a checkpoint are resized and scaled.
 *
 * transformers' CLIPImageProcessor and BlipImageProcessor, and the `preprocess_cfg` of open_clip_config.json.
 */
import { ConfigError } from "./Config.ts"
import type { Model, Preprocess } from "./Model.ts"

type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

const isTriple = (value: unknown): value is readonly [number, number, number] =>
  Array.isArray(value) && value.length === 3 && value.every((each) => Number.isFinite(each))

/** A size is a number, a square, or a shortest edge. */
const sideOf = (value: unknown): unknown =>
  isObject(value) ? (value["shortest_edge"] ?? (value["height"] === value["width"] ? value["height"] : value)) : value

/** Settings that both image processors could be given, and the values implemented here. */
const builtIn: Readonly<Record<string, ReadonlyArray<unknown>>> = {
  do_resize: [true],
  do_rescale: [true],
  do_normalize: [true],
  do_convert_rgb: [true],
  resample: [3]
}

const problemsIn = (settings: Json, { image_size, resize }: Preprocess): ReadonlyArray<string> => {
  const fixed = Object.entries(settings).filter(([key, value]) => builtIn[key]?.includes(value ?? true) === false)
  const problems = fixed.map(([key, value]) => `${key}: expected ${builtIn[key]!.join()}, got ${JSON.stringify(value)}`)
  const crops = resize === "shortest_side_center_crop"
  for (const key of ["size", ...(crops ? ["crop_size"] : [])]) {
    const side = sideOf(settings[key])
    if (side !== undefined && side !== image_size)
      problems.push(`${key}: expected the model's image_size ${image_size}, got ${JSON.stringify(settings[key])}`)
  }
  const wantsCrop = settings["do_center_crop"]
  if (typeof wantsCrop === "boolean" && wantsCrop !== crops) problems.push(`do_center_crop: expected ${crops}`)
  const factor = settings["rescale_factor"]
  if (typeof factor === "number" && Math.abs(factor * 255 - 1) > 1e-6) problems.push(`rescale_factor: expected 1 / 255`)
  return problems
}

const read = (preprocess: Preprocess, settings: Json): Preprocess => {
  const problems = problemsIn(settings, preprocess)
  const { image_mean = preprocess.image_mean, image_std = preprocess.image_std } = settings
  if (!isTriple(image_mean)) problemsOf("image_mean", image_mean)
  if (!isTriple(image_std)) problemsOf("image_std", image_std)
  if (problems.length > 0) throw new ConfigError(problems.map((problem) => `preprocessor_config.json: ${problem}`))
  return { ...preprocess, image_mean, image_std }
}

function problemsOf(key: string, value: unknown): never {
  throw new ConfigError([`preprocessor_config.json: ${key}: expected three numbers, got ${JSON.stringify(value)}`])
}

/** The model with its checkpoint's own image settings. Throws a `ConfigError` that names a setting with no counterpart. */
export const withPreprocessor = (model: Model, settings: unknown): Model =>
  isObject(settings) ? { ...model, preprocess: read(model.preprocess, settings) } : model
