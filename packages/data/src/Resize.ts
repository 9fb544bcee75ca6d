/**
 * Bicubic resampling, bit for bit as Pillow 13's `Image.resize(size, BICUBIC)` on 8-bit images: the resize that stands before
 * CLIP and BLIP.
 *
 *   H, W  height and width in     h, w  out     pixels are uint8, height x width x 3
 *
 * Two passes, one per axis, each rounded to 8 bits. The kernel widens with the shrink factor (antialias). Weights are fixed
 * point with 22 fractional bits, so that sums are exact in int32 and don't depend on the order of additions.
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

const PRECISION_BITS = 22
const HALF = 1 << (PRECISION_BITS - 1)

interface Taps<Weights> {
  /** Per output position: the first input position and the number of inputs that count. */
  readonly first: Int32Array
  readonly count: Int32Array
  /** `width` per output position; they add up to 1. */
  readonly weights: Weights
  readonly width: number
}

/** What each output position sees of its axis, in double precision. */
export const cubicTaps = (inSize: number, outSize: number): Taps<Float64Array> => {
  const scale = inSize / outSize
  const filterScale = Math.max(scale, 1)
  const support = SUPPORT * filterScale
  const width = Math.ceil(support) * 2 + 1
  const taps = {
    first: new Int32Array(outSize),
    count: new Int32Array(outSize),
    weights: new Float64Array(outSize * width),
    width
  }
  for (let out = 0; out < outSize; out++) {
    const center = (out + 0.5) * scale
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

/** The same in fixed point, rounded half away from zero, as the C cast after +-0.5 does. */
const tapsOf = (inSize: number, outSize: number): Taps<Int32Array> => {
  const taps = cubicTaps(inSize, outSize)
  const fixed = (weight: number): number => Math.trunc(weight * (1 << PRECISION_BITS) + (weight < 0 ? -0.5 : 0.5))
  return { ...taps, weights: Int32Array.from(taps.weights, fixed) }
}

const clip8 = (sum: number): number => {
  const value = sum >> PRECISION_BITS
  return value < 0 ? 0 : value > 255 ? 255 : value
}

/** [H, W, 3] to [H, w, 3]. */
const resizeRows = (data: Uint8Array, height: number, inWidth: number, outWidth: number): Uint8Array => {
  const { first, count, weights, width } = tapsOf(inWidth, outWidth)
  const out = new Uint8Array(height * outWidth * 3)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outWidth; x++) {
      let at = (y * inWidth + first[x]!) * 3
      let r = HALF
      let g = HALF
      let b = HALF
      for (let k = x * width, end = k + count[x]!; k < end; k++, at += 3) {
        const weight = weights[k]!
        r += data[at]! * weight
        g += data[at + 1]! * weight
        b += data[at + 2]! * weight
      }
      const to = (y * outWidth + x) * 3
      out[to] = clip8(r)
      out[to + 1] = clip8(g)
      out[to + 2] = clip8(b)
    }
  }
  return out
}

/** [H, W, 3] to [h, W, 3]: one weighted sum of whole rows per output row. */
const resizeColumns = (data: Uint8Array, inHeight: number, outHeight: number, imageWidth: number): Uint8Array => {
  const { first, count, weights, width } = tapsOf(inHeight, outHeight)
  const stride = imageWidth * 3
  const out = new Uint8Array(outHeight * stride)
  const sums = new Int32Array(stride)
  for (let y = 0; y < outHeight; y++) {
    sums.fill(HALF)
    for (let k = 0; k < count[y]!; k++) {
      const weight = weights[y * width + k]!
      const row = (first[y]! + k) * stride
      for (let i = 0; i < stride; i++) sums[i]! += data[row + i]! * weight
    }
    for (let i = 0; i < stride; i++) out[y * stride + i] = clip8(sums[i]!)
  }
  return out
}

/**
 * Pillow 13 takes the columns first where that removes more than twice as many rows as columns; older versions never do. The
 * order shows, because the first pass is rounded and clipped: up to 15 of 255 levels on noise.
 */
const columnsFirst = (image: Rgb, width: number, height: number): boolean =>
  image.height > height && image.height - height > 2 * (image.width - width)

/** Resizes to exactly width x height. An axis that keeps its size is not touched. */
export const resizeBicubic = (image: Rgb, width: number, height: number): Rgb => {
  const { width: W, height: H, data } = image
  const across = (pixels: Uint8Array, rows: number): Uint8Array =>
    W === width ? pixels : resizeRows(pixels, rows, W, width)
  const down = (pixels: Uint8Array, columns: number): Uint8Array =>
    H === height ? pixels : resizeColumns(pixels, H, height, columns)
  const resized = columnsFirst(image, width, height) ? across(down(data, W), height) : down(across(data, H), width)
  return { width, height, data: resized }
}
