/**
 * torch's bicubic resize of uint8 with antialias, as torchvision and the default image processors of transformers 5 use it.
 *
 * The taps are Pillow's. Their fixed-point weights are not: they fit in 16 bits, with as many fractional bits as the largest
 * weight of the axis leaves, and rows are always resized before columns. So a result differs from Pillow's by a grey level here
 * and there, and by a few where Pillow takes the columns first.
 */
import { cubicTaps, fixedTaps, resizerOf } from "./Resize.ts"
import type { Resizer, TapsOf } from "./Resize.ts"

/** Fractional bits, at most 22, such that no weight reaches 2^15. */
const bitsFor = (largest: number): number => {
  let bits = 0
  while (bits < 22 && Math.trunc(0.5 + largest * 2 ** (bits + 1)) < 2 ** 15) bits++
  return bits
}

/** The largest weight is that of the whole axis, whatever is cut out of it. */
const torchTaps: TapsOf = (inSize, outSize, span) => {
  const { weights } = cubicTaps(inSize, outSize, { start: 0, length: outSize })
  const largest = weights.reduce((most, weight) => Math.max(most, weight), 0)
  return fixedTaps(cubicTaps(inSize, outSize, span), bitsFor(largest))
}

export const resizeTorch: Resizer = resizerOf(torchTaps, () => false)
