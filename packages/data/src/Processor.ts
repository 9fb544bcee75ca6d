/**
 * Pixels as each library's image processor makes them: the same resize and crop, but not to the last grey level.
 *
 * | | transformers on Pillow | transformers on torchvision | open_clip, OpenAI's CLIP |
 * |---|---|---|---|
 * | alpha | blended over white | blended over white | resized premultiplied, then dropped |
 * | palette | resized as RGB, bicubic | resized as RGB, bicubic | resized by nearest neighbour |
 * | bicubic | Pillow, 22 bits | torch, 16 bits | Pillow, 22 bits |
 * | centre crop | offset rounded down | offset rounded down | offset rounded to the nearest even |
 *
 * None of them turns an image by its EXIF orientation by itself; `exif: "apply"` does.
 */
import * as Effect from "effect/Effect"
import { DataError } from "./DataError.ts"
import { decodeImage, loadSharp } from "./Image.ts"
import type { DecodeOptions } from "./Image.ts"
import { preprocessWith } from "./Preprocess.ts"
import type { Preprocess } from "./Preprocess.ts"
import { resizePillow } from "./Resize.ts"
import type { Resizer, Rgb } from "./Resize.ts"
import { resizeTorch } from "./TorchResize.ts"

export type Processor = "transformers_pillow" | "transformers_torchvision" | "open_clip"

/** The sampling of Pillow's NEAREST: the pixel under the output pixel's centre. */
const resizeNearest: Resizer = (image, width, height) => {
  const source = (inSize: number, outSize: number): Int32Array => {
    const scale = inSize / outSize
    let at = scale * 0.5
    return Int32Array.from({ length: outSize }, () => {
      const found = Math.trunc(at)
      at += scale
      return found
    })
  }
  const [columns, rows] = [source(image.width, width), source(image.height, height)]
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (rows[y]! * image.width + columns[x]!) * 3
      data.set(image.data.subarray(from, from + 3), (y * width + x) * 3)
    }
  }
  return { width, height, left: 0, top: 0, data }
}

/** a * b / 255, rounded, as Pillow does it in 8 bits. */
const multiply8 = (a: number, b: number): number => {
  const product = a * b + 128
  return ((product >> 8) + product) >> 8
}

/** Resizes colours premultiplied with their alpha, and divides again; `alpha` is [height, width]. */
const premultiplied =
  (alpha: Uint8Array): Resizer =>
  (image, width, height, window) => {
    const { width: W, height: H, data } = image
    if (W === width && H === height) return { ...image, left: 0, top: 0 }
    const three = Uint8Array.from(data, (_, i) => alpha[Math.floor(i / 3)]!)
    const premade = { width: W, height: H, data: data.map((value, i) => multiply8(value, three[i]!)) }
    const colours = resizePillow(premade, width, height, window)
    const alphas = resizePillow({ width: W, height: H, data: three }, width, height, window).data
    const divided = colours.data.map((value, i) => {
      const a = alphas[i]!
      return a === 0 || a === 255 ? value : Math.min(255, Math.trunc((255 * value) / a))
    })
    return { ...colours, data: divided }
  }

const PNG_COLOUR_TYPE = 25
const isPng = (bytes: Uint8Array): boolean => bytes[0] === 0x89 && bytes[1] === 0x50

/** Pillow opens a PNG with a palette as mode P, one of single bits as mode 1, and resizes both by nearest neighbour. */
const isIndexed = (bytes: Uint8Array): boolean =>
  isPng(bytes) && (bytes[PNG_COLOUR_TYPE] === 3 || (bytes[PNG_COLOUR_TYPE] === 0 && bytes[24] === 1))

/** The alpha channel, or undefined when the image has none. */
const alphaOf = Effect.fnUntraced(function* (bytes: Uint8Array, options: DecodeOptions) {
  const input = { failOn: "warning", ignoreIcc: true, autoOrient: options.exif === "apply" } as const
  const file = options.where?.file ?? "image"
  return yield* Effect.tryPromise({
    try: async () => {
      const sharp = await loadSharp()
      const { hasAlpha } = await sharp(bytes, input).metadata()
      if (!hasAlpha) return undefined
      const { data } = await sharp(bytes, input).toColourspace("srgb").extractChannel("alpha").raw().toBuffer({
        resolveWithObject: true
      })
      return new Uint8Array(data)
    },
    catch: (cause) => new DataError({ code: "BadImage", file, detail: (cause as Error).message })
  })
})

/** Whether transparent pixels show white, as transformers' `convert_to_rgb` has it since its fifth version. */
export const blends = (processor: Processor | undefined): boolean =>
  processor === "transformers_pillow" || processor === "transformers_torchvision"

const floor = Math.floor
/** Half goes to the even neighbour, as Python's round. */
const roundEven = (x: number): number => (x % 1 === 0.5 && Math.floor(x) % 2 === 0 ? Math.floor(x) : Math.round(x))

/** Pixels that are RGB already: no file, no alpha, no palette. */
export const processRgb = (rgb: Rgb, config: Preprocess, processor: Processor): Float32Array<ArrayBuffer> => {
  const resize = processor === "transformers_torchvision" ? resizeTorch : resizePillow
  return preprocessWith(rgb, config, resize, processor === "open_clip" ? roundEven : floor)
}

/** An encoded image to float32 [3, S, S]. Fails as `decodeImage` does. */
export const processImage = Effect.fnUntraced(function* (
  bytes: Uint8Array,
  config: Preprocess,
  processor: Processor,
  options: Omit<DecodeOptions, "alpha"> = {}
) {
  if (blends(processor)) {
    return processRgb(yield* decodeImage(bytes, { ...options, alpha: "white" }), config, processor)
  }
  const rgb = yield* decodeImage(bytes, { ...options, alpha: "drop" })
  if (isIndexed(bytes)) return preprocessWith(rgb, config, resizeNearest, roundEven)
  const alpha = yield* alphaOf(bytes, options)
  const resize = alpha === undefined ? resizePillow : premultiplied(alpha)
  return preprocessWith(rgb, config, resize, roundEven)
})
