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
export const fixedTaps = (taps: Taps<Float64Array>, bits: number): FixedTaps => ({
  ...taps,
  weights: Int32Array.from(taps.weights, (weight) => Math.trunc(weight * 2 ** bits + (weight < 0 ? -0.5 : 0.5))),
  bits
})

const pillowTaps: TapsOf = (inSize, outSize, span) => fixedTaps(cubicTaps(inSize, outSize, span), PRECISION_BITS)

const clip8 = (value: number): number => (value < 0 ? 0 : value > 255 ? 255 : value)

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

/** Each of these rows, resampled. */
const across = (image: Part, { made, taps }: Axis, rows: Span): Part => {
  if (taps === undefined) return image
  const { first, count, weights, width, bits } = taps
  const { data, left, top } = image
  const half = 1 << (bits - 1)
  const out = new Uint8Array(rows.length * made.length * 3)
  let to = 0
  for (let y = 0; y < rows.length; y++) {
    const row = (rows.start + y - top) * image.width - left
    for (let x = 0; x < made.length; x++) {
      let at = (row + first[x]!) * 3
      let r = half
      let g = half
      let b = half
      for (let k = x * width, end = k + count[x]!; k < end; k++, at += 3) {
        const weight = weights[k]!
        r = (r + Math.imul(data[at]!, weight)) | 0
        g = (g + Math.imul(data[at + 1]!, weight)) | 0
        b = (b + Math.imul(data[at + 2]!, weight)) | 0
      }
      out[to++] = clip8(r >> bits)
      out[to++] = clip8(g >> bits)
      out[to++] = clip8(b >> bits)
    }
  }
  return { width: made.length, height: rows.length, left: made.start, top: rows.start, data: out }
}

/** Adds `weight` times each of four rows of bytes; a weight of 0 stands for a row too many. */
const addRows = (sums: Int32Array, data: Uint8Array, at: Int32Array, weights: Int32Array): void => {
  const [a, b, c, d] = at as unknown as readonly [number, number, number, number]
  const [p, q, r, s] = weights as unknown as readonly [number, number, number, number]
  for (let i = 0; i < sums.length; i++) {
    const upper = (Math.imul(data[a + i]!, p) + Math.imul(data[b + i]!, q)) | 0
    const lower = (Math.imul(data[c + i]!, r) + Math.imul(data[d + i]!, s)) | 0
    sums[i] = (sums[i]! + upper + lower) | 0
  }
}

/** Each of these columns, resampled: a weighted sum of whole rows for each row made. */
const down = (image: Part, { made, taps }: Axis, columns: Span): Part => {
  if (taps === undefined) return image
  const { first, count, weights, width, bits } = taps
  const stride = columns.length * 3
  const out = new Uint8Array(made.length * stride)
  const sums = new Int32Array(stride)
  const [rows, four] = [new Int32Array(4), new Int32Array(4)]
  for (let y = 0; y < made.length; y++) {
    sums.fill(1 << (bits - 1))
    for (let k = 0; k < count[y]!; k += 4) {
      for (let i = 0; i < 4; i++) {
        const tap = Math.min(k + i, count[y]! - 1)
        rows[i] = ((first[y]! + tap - image.top) * image.width + columns.start - image.left) * 3
        four[i] = k + i < count[y]! ? weights[y * width + tap]! : 0
      }
      addRows(sums, image.data, rows, four)
    }
    for (let i = 0, to = y * stride; i < stride; i++) out[to++] = clip8(sums[i]! >> bits)
  }
  return { width: columns.length, height: made.length, left: columns.start, top: made.start, data: out }
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
