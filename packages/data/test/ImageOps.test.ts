import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
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
} from "../src/ImageOps.ts"
import type { Rgb } from "../src/Resize.ts"

interface Cases {
  readonly images: Readonly<
    Record<string, { readonly width: number; readonly height: number; readonly data: number[] }>
  >
  readonly cases: ReadonlyArray<{ operation: string; argument: number; image: string; pixels: ReadonlyArray<number> }>
}
const { images, cases } = JSON.parse(readFileSync(new URL("fixtures/image_ops.json", import.meta.url), "utf8")) as Cases
const rgb = (name: string): Rgb => ({ ...images[name]!, data: Uint8Array.from(images[name]!.data) })

const exact: Readonly<Record<string, (image: Rgb, argument: number) => Rgb>> = {
  autocontrast,
  equalize,
  brightness,
  sharpness
}
const warped: typeof exact = {
  shear_x: (image, factor) => affine(image, shearX(factor), 128),
  shear_y: (image, factor) => affine(image, shearY(factor), 128),
  translate_x: (image, pixels) => affine(image, translateX(pixels), 128),
  translate_y: (image, pixels) => affine(image, translateY(pixels), 128),
  rotate: (image, degrees) => affine(image, rotate(image, degrees), 128)
}
const named = (operations: typeof exact) =>
  cases
    .filter(({ operation }) => operation in operations)
    .map((each) => ({ ...each, name: `${each.operation} ${each.argument} of ${each.image}` }))

describe("image operations", () => {
  it.each(named(exact))("has Pillow's and numpy's bytes: $name", ({ operation, argument, image, pixels }) => {
    expect([...exact[operation]!(rgb(image), argument).data]).toEqual(pixels)
  })

  it.each(named(warped))("is OpenCV's but for a rounding: $name", ({ operation, argument, image, pixels }) => {
    const ours = warped[operation]!(rgb(image), argument).data
    expect(ours.length).toBe(pixels.length)
    expect(Math.max(...pixels.map((level, i) => Math.abs(level - ours[i]!)))).toBeLessThanOrEqual(1)
  })
})
