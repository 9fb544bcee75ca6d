/**
 * An encoded image to RGB pixels, as Pillow's `Image.open(...).convert("RGB")` gives them.
 *
 *   bytes (JPEG, PNG or WebP)   ->   Rgb: uint8 [height, width, 3]
 *
 * The header is checked against the limits first. Grey and palette become RGB, alpha is dropped unless blending is asked for,
 * colour profiles are ignored, EXIF rotation is ignored unless asked for, a damaged or cut file is an error.
 */
import * as Effect from "effect/Effect"
import type { Sharp, SharpOptions } from "sharp"
import { attempt, DataError } from "./DataError.ts"
import { readImageHeader } from "./ImageHeader.ts"
import type { ImageHeader } from "./ImageHeader.ts"
import { defaultLimits, overLimit } from "./limits.ts"
import type { Limits, Where } from "./limits.ts"
import type { Rgb } from "./Resize.ts"

export interface DecodeOptions {
  readonly limits?: Limits
  /** For error messages. */
  readonly where?: Where
  /** "ignore" (default) keeps the stored orientation, as CLIP's and BLIP's code does; "apply" turns the image upright. */
  readonly exif?: "ignore" | "apply"
  /**
   * "drop" (default) keeps the colours behind transparent pixels, as `convert("RGB")` does; "white" blends over white, as the
   * image processors of transformers 5 do.
   */
  readonly alpha?: "drop" | "white"
}

/** Reads the header and compares it with the limits; throws a DataError. */
export const checkImage = (bytes: Uint8Array, limits: Limits, where: Where): ImageHeader => {
  const tooLong = overLimit(limits, "image_bytes", bytes.length, where)
  if (tooLong !== undefined) throw tooLong
  const header = readImageHeader(bytes, where.file)
  const broken =
    overLimit(limits, "image_side", Math.max(header.width, header.height), where) ??
    overLimit(limits, "image_pixels", header.width * header.height, where) ??
    overLimit(limits, "image_frames", header.frames, where)
  if (broken !== undefined) throw broken
  return header
}

/** Pillow's CMYK to RGB: (255 - ink) x (255 - black) / 255, rounded in 8 bits. `data` is [n, 4] of ink, 255 = full. */
const cmykToRgb = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array((data.length / 4) * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const light = 255 - data[from + 3]!
    for (let c = 0; c < 3; c++) {
      const product = data[from + c]! * light + 128
      out[to++] = Math.max(light - ((product + (product >> 8)) >> 8), 0)
    }
  }
  return out
}

/** Pillow's `alpha_composite` over opaque white. `data` is [n, 4]. */
const blendOverWhite = (data: Uint8Array): Uint8Array => {
  const out = new Uint8Array((data.length / 4) * 3)
  for (let from = 0, to = 0; from < data.length; from += 4) {
    const alpha = data[from + 3]!
    for (let c = 0; c < 3; c++) {
      const sum = (data[from + c]! * alpha + 255 * (255 - alpha)) * 128 + 128 * 128
      out[to++] = ((sum >> 8) + sum) >> 15
    }
  }
  return out
}

const raw = async (image: Sharp, space: "srgb" | "cmyk", channels: number): Promise<Rgb> => {
  const { data, info } = await image.toColourspace(space).raw().toBuffer({ resolveWithObject: true })
  if (info.channels !== channels) throw new Error(`decoder gave ${info.channels} channels, wanted ${channels}`)
  return { width: info.width, height: info.height, data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }
}

/** A JPEG has no alpha to blend. */
const pixelsOf = async (image: Sharp, { cmyk, format }: ImageHeader, alpha: "drop" | "white"): Promise<Rgb> => {
  if (cmyk) {
    const ink = await raw(image.pipelineColourspace("cmyk"), "cmyk", 4)
    return { ...ink, data: cmykToRgb(ink.data) }
  }
  if (alpha === "drop" || format === "jpeg") return raw(image.removeAlpha(), "srgb", 3)
  const blended = await raw(image.ensureAlpha(), "srgb", 4)
  return { ...blended, data: blendOverWhite(blended.data) }
}

/**
 * The decoder's own words depend on what other threads met at the same time, so they are a hint and no part of the reason, which
 * is stored.
 */
const damaged = (where: Where, cause: unknown): DataError =>
  new DataError({
    code: "BadImage",
    ...where,
    detail: "the image data is damaged or cut short",
    hint: `the decoder says: ${(cause as Error).message}`
  })

const loading = async () => {
  const { default: sharp } = await import("sharp")
  // Images are decoded several at a time and each once: threads inside one image and a cache of operations cost a sixth more.
  sharp.concurrency(1)
  sharp.cache(false)
  return sharp
}
let loaded: ReturnType<typeof loading> | undefined

/** Comes in with the first image: a command that decodes none starts sooner. */
export const loadSharp = (): ReturnType<typeof loading> => (loaded ??= loading())

/** Decodes one image. Fails with OverLimit, UnknownImage or BadImage. */
export const decodeImage = Effect.fnUntraced(function* (bytes: Uint8Array, options: DecodeOptions = {}) {
  const where: Where = options.where ?? { file: "image" }
  const limits = options.limits ?? defaultLimits
  const header = yield* attempt({ code: "BadImage", ...where }, () => checkImage(bytes, limits, where))
  const input: SharpOptions = {
    failOn: "warning",
    limitInputPixels: limits.image_pixels,
    ignoreIcc: true,
    autoOrient: options.exif === "apply"
  }
  const rgb = yield* Effect.tryPromise({
    try: async () => pixelsOf((await loadSharp())(bytes, input), header, options.alpha ?? "drop"),
    catch: (cause) => damaged(where, cause)
  })
  const sides = [header.width, header.height].toSorted((a, b) => a - b)
  if (sides.join() !== [rgb.width, rgb.height].toSorted((a, b) => a - b).join()) {
    return yield* new DataError({
      code: "BadImage",
      ...where,
      detail: "decoded size differs from the header",
      expected: `${header.width} x ${header.height}`,
      got: `${rgb.width} x ${rgb.height}`
    })
  }
  return rgb
})
