/**
 * Random crops, flips and RandAugment of training images in this order, a function of a random key.
 *
 * Random resized crop as torchvision's: a share `scale` of the area at an aspect ratio drawn log-uniformly from 3:4 to 4:3, ten
 * tries, else the largest centred part inside these ratios; the crop is resized to the model's square.
 */
import { resizeBicubic } from "@bootlace/data"
import type { Rgb } from "@bootlace/data"
import { uniformAt } from "@bootlace/models"
import type { RandomKey } from "@bootlace/models"
import type { Augment } from "./AugmentConfig.ts"
import { randAugmented } from "./RandAugment.ts"

interface Window {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

const ratios = [3 / 4, 4 / 3] as const

const tries = 10
/** Draws 4 t + 1 to 4 t + 4 belong to try t; draw 0 is the flip's, those from here on RandAugment's. */
const afterCrop = 4 * tries + 1

const drawWindow = ({ width, height }: Rgb, [low, high]: readonly [number, number], key: RandomKey): Window => {
  for (let attempt = 0; attempt < tries; attempt++) {
    const draw = (i: number): number => uniformAt(key, 4 * attempt + i)
    const area = width * height * (low + (high - low) * draw(1))
    const ratio = Math.exp(Math.log(ratios[0]) + (Math.log(ratios[1]) - Math.log(ratios[0])) * draw(2))
    const w = Math.round(Math.sqrt(area * ratio))
    const h = Math.round(Math.sqrt(area / ratio))
    if (w < 1 || h < 1 || w > width || h > height) continue
    const place = (room: number, u: number): number => Math.min(room, Math.floor((room + 1) * u))
    return { left: place(width - w, draw(3)), top: place(height - h, draw(4)), width: w, height: h }
  }
  const w = Math.min(width, Math.max(1, Math.round(height * ratios[1])))
  const h = Math.min(height, Math.max(1, Math.round(width / ratios[0])))
  return { left: Math.floor((width - w) / 2), top: Math.floor((height - h) / 2), width: w, height: h }
}

const crop = (image: Rgb, { left, top, width, height }: Window): Rgb => {
  const data = new Uint8Array(width * height * 3)
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3
    data.set(image.data.subarray(from, from + width * 3), y * width * 3)
  }
  return { width, height, data }
}

const mirror = ({ width, height, data }: Rgb): Rgb => {
  const out = new Uint8Array(data.length)
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const from = (y * width + x) * 3
      const to = (y * width + width - 1 - x) * 3
      for (let c = 0; c < 3; c++) out[to + c] = data[from + c]!
    }
  }
  return { width, height, data: out }
}

/** Square of side `image_size` where it is cropped; otherwise the image keeps its size. */
export const augmented = (image: Rgb, augment: Augment, image_size: number, key: RandomKey): Rgb => {
  const scale = augment.random_resized_crop?.scale
  const part =
    scale === undefined ? image : resizeBicubic(crop(image, drawWindow(image, scale, key)), image_size, image_size)
  const turned = augment.horizontal_flip === true && uniformAt(key, 0) < 0.5 ? mirror(part) : part
  const how = augment.rand_augment
  return how === undefined ? turned : randAugmented(turned, how, (i) => uniformAt(key, afterCrop + i))
}
