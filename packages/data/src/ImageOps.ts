/**
 * What augmentation does to pixels: Rgb, uint8 [height, width, 3], to an Rgb of the same size.
 *
 * `autocontrast` and `equalize` give Pillow's bytes (ImageOps). `brightness`, `sharpness` and the affine ones are those that
 * BLIP's RandAugment took from OpenCV: levels are cut, not rounded; sampling is bilinear; what comes from outside is `fill`.
 */
import type { Rgb } from "./Resize.ts"

type Levels = Uint8Array

/** A table of 256 levels for each channel. */
const mapped = ({ width, height, data }: Rgb, tables: readonly [Levels, Levels, Levels]): Rgb => ({
  width,
  height,
  data: data.map((level, i) => tables[i % 3]![level]!)
})

const histogram = ({ data }: Rgb, channel: number): Uint32Array => {
  const counts = new Uint32Array(256)
  for (let i = channel; i < data.length; i += 3) counts[data[i]!]!++
  return counts
}

const perChannel = (image: Rgb, tableOf: (counts: Uint32Array) => Levels): Rgb =>
  mapped(image, [tableOf(histogram(image, 0)), tableOf(histogram(image, 1)), tableOf(histogram(image, 2))])

const levels = (of: (level: number) => number): Levels =>
  Uint8Array.from({ length: 256 }, (_, level) => Math.min(255, Math.max(0, Math.trunc(of(level)))))

const identityLevels = levels((level) => level)

/** Stretches each channel so that its darkest level is 0 and its lightest 255. */
export const autocontrast = (image: Rgb): Rgb =>
  perChannel(image, (counts) => {
    const low = counts.findIndex((count) => count > 0)
    const high = counts.findLastIndex((count) => count > 0)
    if (high <= low) return identityLevels
    const scale = 255 / (high - low)
    return levels((level) => level * scale - low * scale)
  })

/** Makes each channel's levels about equally frequent. */
export const equalize = (image: Rgb): Rgb =>
  perChannel(image, (counts) => {
    const used = counts.filter((count) => count > 0)
    const step = Math.floor(used.slice(0, -1).reduce((sum, count) => sum + count, 0) / 255)
    if (step === 0) return identityLevels
    let reached = Math.floor(step / 2)
    const table = new Uint8Array(256)
    for (const [level, count] of counts.entries()) {
      table[level] = Math.min(255, Math.floor(reached / step))
      reached += count
    }
    return table
  })

/** `factor` 1 leaves the image, 0 is black. */
export const brightness = (image: Rgb, factor: number): Rgb => {
  const table = levels((level) => Math.fround(level * Math.fround(factor)))
  return mapped(image, [table, table, table])
}

/** `factor` 1 leaves the image, 0 smooths it by a 3 x 3 kernel of ones with 5 in its middle; the border stays. */
export const sharpness = (image: Rgb, factor: number): Rgb => {
  const { width, height, data } = image
  const row = width * 3
  const out = data.slice()
  for (let y = 1; y < height - 1; y++)
    for (let i = y * row + 3; i < (y + 1) * row - 3; i++) {
      let sum = 4 * data[i]!
      for (const line of [i - row, i, i + row]) sum += data[line - 3]! + data[line]! + data[line + 3]!
      const smooth = Math.round(sum / 13)
      out[i] = Math.min(255, Math.max(0, Math.trunc(smooth + factor * (data[i]! - smooth))))
    }
  return { width, height, data: out }
}

/** Where an output pixel comes from: x' = a x + b y + c, y' = d x + e y + f. */
export type Affine = readonly [a: number, b: number, c: number, d: number, e: number, f: number]

/** Samples the image at `from` of each pixel; outside it every channel is `fill`. */
export const affine = ({ width, height, data }: Rgb, [a, b, c, d, e, f]: Affine, fill: number): Rgb => {
  const out = new Uint8Array(data.length)
  const at = (x: number, y: number, channel: number): number =>
    x < 0 || y < 0 || x >= width || y >= height ? fill : data[(y * width + x) * 3 + channel]!
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      const [u, v] = [a * x + b * y + c, d * x + e * y + f]
      const [left, top] = [Math.floor(u), Math.floor(v)]
      const [right, below] = [u - left, v - top]
      for (let channel = 0; channel < 3; channel++) {
        const upper = at(left, top, channel) * (1 - right) + at(left + 1, top, channel) * right
        const lower = at(left, top + 1, channel) * (1 - right) + at(left + 1, top + 1, channel) * right
        out[(y * width + x) * 3 + channel] = Math.round(upper * (1 - below) + lower * below)
      }
    }
  return { width, height, data: out }
}

/** Row y moves by -factor y pixels to the right, as OpenCV's inverse mapping of [1, factor, 0] has it. */
export const shearX = (factor: number): Affine => [1, -factor, 0, 0, 1, 0]
export const shearY = (factor: number): Affine => [1, 0, 0, -factor, 1, 0]
/** The image moves to the left, or up, by `pixels`. */
export const translateX = (pixels: number): Affine => [1, 0, pixels, 0, 1, 0]
export const translateY = (pixels: number): Affine => [1, 0, 0, 0, 1, pixels]

/** Turns counter-clockwise about (width / 2, height / 2). */
export const rotate = ({ width, height }: Rgb, degrees: number): Affine => {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)]
  const [x, y] = [width / 2, height / 2]
  return [cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y]
}
