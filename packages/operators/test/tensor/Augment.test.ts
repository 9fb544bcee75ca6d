import { randomKey } from "@bootlace/models"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { augmented } from "../../src/tensor/Augment.ts"

/** Red grows to the right, green downwards. */
const ramp = (width: number, height: number) => {
  const data = new Uint8Array(width * height * 3)
  for (let i = 0; i < width * height; i++) data.set([(i % width) * 4, Math.floor(i / width) * 4, 7], i * 3)
  return { width, height, data }
}
const keyOf = (step: number) => randomKey(1, "test", step)

describe("augmented", () => {
  it("gives a square of the model's size out of any image, the same for the same key", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 60 }), fc.nat(), (width, height, step) => {
        const augment = { random_resized_crop: { scale: [0.2, 1] as const }, horizontal_flip: true }
        const out = augmented(ramp(width, height), augment, 8, keyOf(step))
        expect([out.width, out.height, out.data.length]).toEqual([8, 8, 192])
        expect(augmented(ramp(width, height), augment, 8, keyOf(step))).toEqual(out)
      })
    )
  })

  it("mirrors about half of the images", () => {
    const isMirrored = (step: number) =>
      augmented(ramp(16, 16), { horizontal_flip: true }, 16, keyOf(step)).data[0]! > 0
    const mirrored = Array.from({ length: 400 }, (_, step) => isMirrored(step)).filter(Boolean).length
    expect(mirrored).toBeGreaterThan(160)
    expect(mirrored).toBeLessThan(240)
  })

  it("takes shares of the area between its bounds, at aspect ratios from 3:4 to 4:3", () => {
    // The ramps tell the window: its first and last column and row.
    for (let step = 0; step < 200; step++) {
      const { data } = augmented(ramp(60, 60), { random_resized_crop: { scale: [0.25, 0.5] } }, 60, keyOf(step))
      const [left, top, right, bottom] = [data[0]!, data[1]!, data.at(-3)!, data.at(-2)!].map((level) => level / 4)
      const [w, h] = [right! - left! + 1, bottom! - top! + 1]
      expect((w * h) / 3600).toBeGreaterThan(0.2)
      expect((w * h) / 3600).toBeLessThan(0.56)
      expect(w / h).toBeGreaterThan(0.68)
      expect(w / h).toBeLessThan(1.48)
    }
  })

  it("applies half of the operations drawn, with all ten among them, and gives the same for the same key", () => {
    const augment = { rand_augment: { n: 1, m: 5 } }
    const image = ramp(24, 24)
    const made = Array.from({ length: 400 }, (_, step) => augmented(image, augment, 24, keyOf(step)).data)
    expect(augmented(image, augment, 24, keyOf(7)).data).toEqual(made[7])
    const changed = made.filter((data) => data.some((level, i) => level !== image.data[i]))
    // Half are left alone, and some operations leave such an image as it is, the identity for one.
    expect(changed.length).toBeGreaterThan(130)
    expect(changed.length).toBeLessThan(210)
    // The five that move pixels do so in two directions.
    expect(new Set(changed.map((data) => data.join())).size).toBeGreaterThanOrEqual(11)
  })
})
