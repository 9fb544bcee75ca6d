/**
 * torch's bicubic resize of uint8 with antialias, as torchvision and the default image processors of transformers 5 use it.
 *
 * The taps are Pillow's. Their fixed-point weights are not: they fit in 16 bits, with as many fractional bits as the largest
 * weight of the axis leaves, and rows are always resized before columns. So a result differs from Pillow's by a grey level here
 * and there, and by a few where Pillow takes the columns first.
 */
import { cubicTaps } from "./Resize.ts"
import type { Rgb } from "./Resize.ts"

interface Axis {
  readonly first: Int32Array
  readonly count: Int32Array
  /** 16-bit weights, `width` per output position. */
  readonly weights: Int32Array
  readonly width: number
  readonly bits: number
}

/** Fractional bits, at most 22, such that no weight reaches 2^15. */
const bitsFor = (largest: number): number => {
  let bits = 0
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++
  return bits
}

const axisOf = (inSize: number, outSize: number): Axis => {
  const { first, count, weights, width } = cubicTaps(inSize, outSize)
  const bits = bitsFor(weights.reduce((largest, weight) => Math.max(largest, weight), 0))
  const fixed = Int32Array.from(weights, (weight) => Math.trunc(weight * 2 ** bits + (weight < 0 ? -0.5 : 0.5)))
  return { first, count, weights: fixed, width, bits }
}

/**
 * One axis. Elements of the axis are `step` apart; there are `lanes` of them, lane l starting at `laneStart(l)` in the input and
 * at `outStart(l)` in the output, where they are `step` apart too.
 */
const resizeAxis = (
  data: Uint8Array,
  { first, count, weights, width, bits }: Axis,
  step: number,
  starts: ReadonlyArray<readonly [number, number]>,
  outLength: number
): Uint8Array => {
  const out = new Uint8Array(outLength)
  const half = 1 << (bits - 1)
  for (const [inStart, outStart] of starts) {
    for (let x = 0; x < first.length; x++) {
      let sum = half
      for (let i = 0; i < count[x]!; i++) sum += data[inStart + (first[x]! + i) * step]! * weights[x * width + i]!
      const value = sum >> bits
      out[outStart + x * step] = value < 0 ? 0 : value > 255 ? 255 : value
    }
  }
  return out
}

const range = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

/** Resizes to exactly width x height. An axis that keeps its size is not touched. */
export const resizeTorch = (image: Rgb, width: number, height: number): Rgb => {
  const { width: W, height: H } = image
  let data = image.data
  if (W !== width) {
    const starts = range(H * 3).map((lane) => {
      const [row, channel] = [Math.floor(lane / 3), lane % 3]
      return [row * W * 3 + channel, row * width * 3 + channel] as const
    })
    data = resizeAxis(data, axisOf(W, width), 3, starts, H * width * 3)
  }
  if (H !== height) {
    const starts = range(width * 3).map((lane) => [lane, lane] as const)
    data = resizeAxis(data, axisOf(H, height), width * 3, starts, height * width * 3)
  }
  return { width, height, data }
}
