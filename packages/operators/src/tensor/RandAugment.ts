/**
 * RandAugment as BLIP uses it (Cubuk et al. 2020; Li et al. 2022, section 4.1): `n` operations drawn with replacement, each applied
 * with probability 1/2, at strength `m` of 10. No operation on colours: captions name them.
 */
import {
  affine,
  autocontrast,
  brightness,
  equalize,
  rotate,
  sharpness,
  shearX,
  shearY,
  translateX,
  translateY
} from "@bootlace/data"
import type { Rgb } from "@bootlace/data"
import type { RandAugment } from "./AugmentConfig.ts"

/** What comes into the picture from outside. */
const grey = 128

/** `share` is the strength in [0, 1], `sign` is 1 or -1. Largest: factor 1.9, shear 0.3, 10 pixels, 30 degrees. */
type Operation = (image: Rgb, share: number, sign: number) => Rgb

const enhancement = (share: number): number => share * 1.8 + 0.1

const operations: ReadonlyArray<Operation> = [
  (image) => image,
  autocontrast,
  (image, share) => brightness(image, enhancement(share)),
  (image, share) => sharpness(image, enhancement(share)),
  equalize,
  (image, share, sign) => affine(image, shearX(sign * share * 0.3), grey),
  (image, share, sign) => affine(image, shearY(sign * share * 0.3), grey),
  (image, share, sign) => affine(image, translateX(sign * share * 10), grey),
  (image, share, sign) => affine(image, translateY(sign * share * 10), grey),
  (image, share, sign) => affine(image, rotate(image, sign * share * 30), grey)
]

/** `draw(i)`: the i-th number in [0, 1) of the image's random stream; three belong to each operation. */
export const randAugmented = (image: Rgb, { n, m }: RandAugment, draw: (i: number) => number): Rgb => {
  let out = image
  for (let i = 0; i < n; i++) {
    const [which, applied, side] = [draw(3 * i), draw(3 * i + 1), draw(3 * i + 2)]
    // A draw just below 1 is 1 in float32.
    const operation = operations[Math.min(operations.length - 1, Math.floor(which * operations.length))]!
    if (applied < 0.5) out = operation(out, m / 10, side < 0.5 ? 1 : -1)
  }
  return out
}
