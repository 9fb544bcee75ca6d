/**
 * Bicubic resampling, bit for bit as Pillow 13's `Image.resize(size, BICUBIC)` on 8-bit images: the resize that stands before
 * CLIP and BLIP.
 *
 *   H, W  height and width in     h, w  out     pixels are uint8, height x width x 3
 *
 * Two passes, one per axis, each rounded to 8 bits. The kernel widens with the shrink factor (antialias). Weights are fixed
 * point with 22 fractional bits, so that sums are exact in int32 and don't depend on the order of additions. Pixels that a crop leaves out
 * are never made.
 */

import { resampleAcross, resampleDown } from "./Resample.ts"
import type { Weighted } from "./Resample.ts"

export interface Rgb {
  readonly width: number
  readonly height: number
  /** [height, width, 3], uint8. */
  readonly data: Uint8Array
}

/** Keys' cubic convolution with a = -0.5; its support is 2. */
const A = -0.5
const SUPPORT = 2

const cubic = (x: number): number => {
  const t = Math.abs(x)
  if (t < 1) return ((A + 2) * t - (A + 3)) * t * t + 1
  if (t < 2) return (((t - 5) * t + 8) * t - 4) * A
  return 0
}

/** Positions start, start + 1, ... of an axis. */
export interface Span {
  readonly start: number
  readonly length: number
}

/** The part of an image that is wanted. */
export interface Window {
  readonly columns: Span
  readonly rows: Span
}

/** Pixels of a larger image: at least those wanted. Its first column is `left`, its first row `top`. */
export interface Part extends Rgb {
  readonly left: number
  readonly top: number
}

interface Taps<Weights> {
  /** Per output position: the first input position and the number of inputs that count. */
  readonly first: Int32Array
  readonly count: Int32Array
  /** `width` per output position; they add up to 1. */
  readonly weights: Weights
  readonly width: number
}

/** In fixed point, with so many fractional bits. */
export interface FixedTaps extends Taps<Int32Array> {
  readonly bits: number
}

/** What each output position of `span` sees of its axis, in double precision. */
export const cubicTaps = (inSize: number, outSize: number, { start, length }: Span): Taps<Float64Array> => {
  const scale = inSize / outSize
  const filterScale = Math.max(scale, 1)
  const support = SUPPORT * filterScale
  const width = Math.ceil(support) * 2 + 1
  const taps = {
    first: new Int32Array(length),
    count: new Int32Array(length),
    weights: new Float64Array(length * width),
    width
  }
  for (let out = 0; out < length; out++) {
    const center = (start + out + 0.5) * scale
    const first = Math.max(Math.trunc(center - support + 0.5), 0)
    const count = Math.min(Math.trunc(center + support + 0.5), inSize) - first
    let total = 0
    for (let i = 0; i < count; i++) {
      const weight = cubic((i + first - center + 0.5) * (1 / filterScale))
      taps.weights[out * width + i] = weight
      total += weight
    }
    for (let i = 0; i < count; i++) taps.weights[out * width + i]! /= total
    taps.first[out] = first
    taps.count[out] = count
  }
  return taps
}

/** How an axis is resampled in fixed point. */
export type TapsOf = (inSize: number, outSize: number, span: Span) => FixedTaps

const PRECISION_BITS = 22

/** Rounded half away from zero, as the C cast after +-0.5 does. */
export const fixedTaps = (taps: Taps<Float64Array>, bits: number): FixedTaps => {
  const weights = new Int32Array(taps.weights.length)
  const one = 2 ** bits
  for (let i = 0; i < weights.length; i++) {
    const weight = taps.weights[i]!
    weights[i] = Math.trunc(weight * one + (weight < 0 ? -0.5 : 0.5))
  }
  return { ...taps, weights, bits }
}

const pillowTaps: TapsOf = (inSize, outSize, span) => fixedTaps(cubicTaps(inSize, outSize, span), PRECISION_BITS)

/** One axis: the positions made, and those of the input that they are made of. Without taps it keeps its size and is not touched. */
interface Axis {
  readonly made: Span
  readonly seen: Span
  readonly taps?: FixedTaps
}

const axisOf = (inSize: number, outSize: number, made: Span, tapsOf: TapsOf): Axis => {
  if (inSize === outSize) return { made, seen: made }
  const taps = tapsOf(inSize, outSize, made)
  const [start, last] = [taps.first[0]!, made.length - 1]
  return { made, seen: { start, length: taps.first[last]! + taps.count[last]! - start }, taps }
}

/** Of an input whose position `origin` is the first, `bytes` apart each. */
const weighted = ({ first, count, weights, width, bits }: FixedTaps, origin: number, bytes: number): Weighted => {
  const step = 2 + width
  const words = new Int32Array(first.length * step)
  for (let out = 0; out < first.length; out++) {
    words[out * step] = (first[out]! - origin) * bytes
    words[out * step + 1] = count[out]! * 4
    words.set(weights.subarray(out * width, (out + 1) * width), out * step + 2)
  }
  return { words, step, bits }
}

/** Each of these rows, resampled. */
const across = (image: Part, { made, taps }: Axis, rows: Span): Part => {
  if (taps === undefined) return image
  const bytes = image.width * 3
  const start = (rows.start - image.top) * bytes
  const some = image.data.subarray(start, start + rows.length * bytes)
  const data = resampleAcross(some, bytes, weighted(taps, image.left, 3))
  return { width: made.length, height: rows.length, left: made.start, top: rows.start, data }
}

/** Each of these columns, resampled: a weighted sum of whole rows for each row made. */
const down = (image: Part, { made, taps }: Axis, columns: Span): Part => {
  if (taps === undefined) return image
  const bytes = image.width * 3
  const [left, size] = [(columns.start - image.left) * 3, columns.length * 3]
  const data = resampleDown(image.data, bytes, left, size, weighted(taps, image.top, bytes))
  return { width: columns.length, height: made.length, left: columns.start, top: made.start, data }
}

/** Resizes to width x height, of which at least the window is made. */
export type Resizer = (image: Rgb, width: number, height: number, window: Window) => Part

/** A resizer of two passes. `columnsFirst` says which comes first: the order shows, because the first one is rounded and clipped. */
export const resizerOf =
  (tapsOf: TapsOf, columnsFirst: (image: Rgb, width: number, height: number) => boolean): Resizer =>
  (image, width, height, window) => {
    const whole: Part = { ...image, left: 0, top: 0 }
    const horizontal = axisOf(image.width, width, window.columns, tapsOf)
    const vertical = axisOf(image.height, height, window.rows, tapsOf)
    return columnsFirst(image, width, height)
      ? across(down(whole, vertical, horizontal.seen), horizontal, window.rows)
      : down(across(whole, horizontal, vertical.seen), vertical, window.columns)
  }

/**
 * Pillow 13 takes the columns first where that removes more than twice as many rows as columns; older versions never do. Up to 15 of 255
 * levels on noise hang on it.
 */
export const resizePillow: Resizer = resizerOf(
  pillowTaps,
  (image, width, height) => image.height > height && image.height - height > 2 * (image.width - width)
)

export const wholeWindow = (width: number, height: number): Window => ({
  columns: { start: 0, length: width },
  rows: { start: 0, length: height }
})

/** Resizes to exactly width x height. An axis that keeps its size is not touched. */
export const resizeBicubic = (image: Rgb, width: number, height: number): Rgb => {
  const { data } = resizePillow(image, width, height, wholeWindow(width, height))
  return { width, height, data }
}
