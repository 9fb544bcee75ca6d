/**
 * RGB pixels to the model's input, as Hugging Face's Pillow image processors do it.
 *
 *   Rgb  uint8 [height, width, 3]   ->   float32 [3, S, S], S = image_size
 *
 * Resize (bicubic, 8 bits), crop, / 255, minus mean, / std. CLIP: shortest side to S, long side truncated, centre crop with
 * the offset rounded down. BLIP: straight to S x S. Radford et al. 2021, section 2.4; Li et al. 2022, section 4.1.
 */
import { resizePillow, wholeWindow } from "./Resize.ts"
import type { Part, Resizer, Rgb } from "./Resize.ts"

export interface Preprocess {
  readonly image_size: number
  readonly image_mean: readonly [number, number, number]
  readonly image_std: readonly [number, number, number]
  readonly resize: "shortest_side_center_crop" | "square"
}

type Rounding = (offset: number) => number

/** What the model sees, and where it begins. */
interface Crop {
  readonly image: Part
  readonly left: number
  readonly top: number
}

const shortestSideCenterCrop = (image: Rgb, size: number, resize: Resizer, round: Rounding): Crop => {
  const { width, height } = image
  const long = Math.trunc((size * Math.max(width, height)) / Math.min(width, height))
  const [w, h] = width < height ? [size, long] : [long, size]
  const [left, top] = [round((w - size) / 2), round((h - size) / 2)]
  const window = { columns: { start: left, length: size }, rows: { start: top, length: size } }
  return { image: resize(image, w, h, window), left, top }
}

/** The float32 value of each of the 256 levels of one channel. */
const levels = (mean: number, std: number): Float32Array =>
  Float32Array.from({ length: 256 }, (_, level) => (Math.fround(level / 255) - mean) / std)

/**
 * Writes one image into `out` from element `offset` on; `out` holds [B, 3, S, S] values. Use this to fill a batch without
 * copying each image once more.
 */
export const preprocessInto = (
  rgb: Rgb,
  config: Preprocess,
  out: Float32Array,
  offset: number,
  resize: Resizer = resizePillow,
  round: Rounding = Math.floor
): void => {
  const size = config.image_size
  const { image, left, top }: Crop =
    config.resize === "square"
      ? { image: resize(rgb, size, size, wholeWindow(size, size)), left: 0, top: 0 }
      : shortestSideCenterCrop(rgb, size, resize, round)
  for (let channel = 0; channel < 3; channel++) {
    const table = levels(config.image_mean[channel]!, config.image_std[channel]!)
    for (let y = 0; y < size; y++) {
      let from = ((top - image.top + y) * image.width + left - image.left) * 3 + channel
      let to = offset + (channel * size + y) * size
      for (let x = 0; x < size; x++, from += 3) out[to++] = table[image.data[from]!]!
    }
  }
}

/** One image as float32 [3, S, S], resized and cropped as one library does it. */
export const preprocessWith = (
  rgb: Rgb,
  config: Preprocess,
  resize: Resizer,
  round: Rounding
): Float32Array<ArrayBuffer> => {
  const out = new Float32Array(3 * config.image_size * config.image_size)
  preprocessInto(rgb, config, out, 0, resize, round)
  return out
}

/** One image as float32 [3, S, S]. */
export const preprocess = (rgb: Rgb, config: Preprocess): Float32Array<ArrayBuffer> => {
  const out = new Float32Array(3 * config.image_size * config.image_size)
  preprocessInto(rgb, config, out, 0)
  return out
}
