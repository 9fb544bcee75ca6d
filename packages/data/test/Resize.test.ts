/** Pixels that a crop leaves out are never made; those that are made are the same. What a resize gives is Image.test.ts' and test/parity's. */
import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { cubicTaps, fixedTaps, resizeBicubic, resizePillow, wholeWindow } from "../src/Resize.ts"
import type { Part, Resizer, Rgb, Window } from "../src/Resize.ts"
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

const noise = (width: number, height: number, seed: number): Rgb => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => Math.imul(i + 1, seed | 1) >>> 24)
})

/** One axis as a plain sum: input position i is `apart` times i bytes on, and `others` are the places of the other axis. */
const plain = (data: Uint8Array, inSize: number, outSize: number, apart: number, others: ReadonlyArray<number>) => {
  const { first, count, weights, width } = fixedTaps(cubicTaps(inSize, outSize, { start: 0, length: outSize }), 22)
  return (out: number): ReadonlyArray<number> =>
    others.map((other) => {
      let sum = 1 << 21
      for (let i = 0; i < count[out]!; i++) sum += data[other + (first[out]! + i) * apart]! * weights[out * width + i]!
      return Math.min(255, Math.max(0, sum >> 22))
    })
}

const upTo = (length: number): ReadonlyArray<number> => Array.from({ length }, (_, i) => i)

const plainRows = ({ width, height, data }: Rgb, rows: number): Rgb => {
  const row = plain(data, height, rows, width * 3, upTo(width * 3))
  return { width, height: rows, data: Uint8Array.from(upTo(rows).flatMap((y) => row(y))) }
}

const plainColumns = ({ width, height, data }: Rgb, columns: number): Rgb => {
  const row = (y: number) => {
    const column = plain(data.subarray(y * width * 3, (y + 1) * width * 3), width, columns, 3, [0, 1, 2])
    return upTo(columns).flatMap((x) => column(x))
  }
  return { width: columns, height, data: Uint8Array.from(upTo(height).flatMap(row)) }
}

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
        const window = { columns: span(width, left, right), rows: span(height, top, bottom) }
        const image = noise(W, H, seed)
        const whole = resize(image, width, height, wholeWindow(width, height))
        expect(pixelsIn(resize(image, width, height, window), window)).toEqual(pixelsIn(whole, window))
      }),
      { numRuns: 300 }
    )
  })
  // More rows than are at work at once; a row that is longer than that; sums of more rows than that.
  it.each([
    [300, 700, 200, 690],
    [16_000, 3, 21, 2],
    [2_500, 400, 2_400, 3],
    [7, 5, 31, 29]
  ])("of %i x %i pixels to %i x %i sums as plain loops do", (W, H, width, height) => {
    const image = noise(W, H, 0x9e3779b1)
    const columnsFirst = H - height > 2 * (W - width) && H > height
    const expected = columnsFirst
      ? plainColumns(plainRows(image, height), width)
      : plainRows(plainColumns(image, width), height)
    expect(Buffer.compare(resizeBicubic(image, width, height).data, expected.data)).toBe(0)
  })
})
