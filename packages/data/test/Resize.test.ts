/** Pixels that a crop leaves out are never made; those that are made are the same. What a resize gives is Image.test.ts' and test/parity's. */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { resizePillow, wholeWindow } from "../src/Resize.ts"
import type { Part, Resizer, Window } from "../src/Resize.ts"
import { resizeTorch } from "../src/TorchResize.ts"

const side = fc.integer({ min: 1, max: 40 })

const span = (size: number, from: number, to: number) => {
  const start = Math.floor(from * size)
  return { start, length: 1 + Math.floor(to * (size - start)) }
}

const pixelsIn = ({ data, width, left, top }: Part, { columns, rows }: Window): ReadonlyArray<number> =>
  Array.from({ length: rows.length }, (_, y) => {
    const from = ((rows.start + y - top) * width + columns.start - left) * 3
    return Array.from(data.subarray(from, from + columns.length * 3))
  }).flat()

const share = fc.double({ min: 0, max: 0.999, noNaN: true })

describe("a resize", () => {
  const resizers: ReadonlyArray<readonly [string, Resizer]> = [
    ["Pillow's", resizePillow],
    ["torch's", resizeTorch]
  ]
  it.each(resizers)("%s makes the same pixels for a window as for the whole", (_, resize) => {
    const given = fc.tuple(side, side, side, side, fc.tuple(share, share, share, share), fc.integer())
    fc.assert(
      fc.property(given, ([W, H, width, height, [left, right, top, bottom], seed]) => {
        const data = Uint8Array.from({ length: W * H * 3 }, (_, i) => Math.imul(i + 1, seed | 1) >>> 24)
        const window = { columns: span(width, left, right), rows: span(height, top, bottom) }
        const image = { width: W, height: H, data }
        const whole = resize(image, width, height, wholeWindow(width, height))
        expect(pixelsIn(resize(image, width, height, window), window)).toEqual(pixelsIn(whole, window))
      }),
      { numRuns: 300 }
    )
  })
})
