import * as fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { PreparedRow } from "../../src/tensor/MicroBatch.ts"
import type { OpenModel } from "../../src/tensor/ModelArtifact.ts"
import { bucketOf } from "../../src/tensor/TensorColumn.ts"
import { callsFor } from "../../src/tensor/Calls.ts"
import type { Call } from "../../src/tensor/Calls.ts"

/** What the planning reads of a model: BLIP base, 197 tokens an image. */
const model = { model: { text_padding: "hidden", max_text_length: 40, image_tokens: [197, 8] } } as unknown as OpenModel
const texts = { text: "text" } as const
const pairs = { image_tokens: "image_tokens", text: "text" } as const

const rowsOf = (all: ReadonlyArray<{ readonly image: number; readonly length: number }>): ReadonlyArray<PreparedRow> =>
  all.map(({ image, length }, row) => ({
    row,
    id: String(row),
    cells: { image_tokens: Float32Array.of(image, 0), text: new Int32Array(length) }
  }))

const drawn = fc.array(fc.record({ image: fc.nat({ max: 3 }), length: fc.integer({ min: 2, max: 40 }) }), {
  minLength: 1,
  maxLength: 70
})
const firstTimes = (calls: ReadonlyArray<Call>): ReadonlyArray<number> =>
  calls.flatMap(({ rows }) => [...new Set(rows)]).toSorted((a, b) => a - b)

describe("callsFor", () => {
  it("runs every row once, with its own image, in calls of few sizes", () => {
    fc.assert(
      fc.property(drawn, fc.constantFrom(2, 6, 8, 16), (all, batch_size) => {
        const rows = rowsOf(all)
        const calls = callsFor({ rows, inputs: pairs, model, batch_size, sharesImages: true })
        expect(firstTimes(calls)).toEqual([...rows.keys()])
        for (const call of calls) {
          const G = call.rows.length / call.images.length
          expect(call.rows.length).toBeGreaterThan(1)
          expect(call.rows.length).toBeLessThanOrEqual(batch_size)
          call.rows.forEach((row, i) => {
            expect(all[row]!.image).toBe(all[call.images[Math.floor(i / G)]!]!.image)
          })
        }
      })
    )
  })

  it("pads a text as its own length says, whoever is beside it", () => {
    fc.assert(
      fc.property(drawn, (all) => {
        const calls = callsFor({ rows: rowsOf(all), inputs: texts, model, batch_size: 16 })
        for (const { rows } of calls) {
          expect(new Set(rows.map((row) => bucketOf(all[row]!.length, 40))).size).toBe(1)
          expect([16, 4]).toContain(rows.length)
        }
      })
    )
  })

  it("gives an image of 32 texts once to all of them", () => {
    const rows = rowsOf(Array.from({ length: 256 }, (_, i) => ({ image: i >> 5, length: 9 })))
    const calls = callsFor({ rows, inputs: pairs, model, batch_size: 64, sharesImages: true })
    expect(calls.map(({ rows: r, images }) => [r.length, images.length])).toEqual(Array(4).fill([64, 2]))
  })

  it("keeps the order of rows that have no text, and pads the last call", () => {
    const rows = rowsOf(Array.from({ length: 5 }, (_, image) => ({ image, length: 4 })))
    const calls = callsFor({ rows, inputs: { image_tokens: "image_tokens" }, model, batch_size: 4 })
    expect(calls.map((call) => call.rows)).toEqual([
      [0, 1, 2, 3],
      [4, 4, 4, 4]
    ])
    expect(calls.map((call) => call.images)).toEqual(calls.map((call) => call.rows))
  })

  it.each([
    // [tokens, batch_size, rows] to the sizes of the calls
    [197, 64, 130, [64, 64, 2]],
    [577, 64, 40, [16, 16, 8]],
    [577, 64, 1, [2]],
    [50, 48, 61, [48, 16]],
    [50, 6, 11, [6, 6]],
    [60_000, 64, 3, [2, 2]]
  ])("takes images of %i tokens, batch_size %i, %i rows, in calls of %j", (tokens, batch_size, count, sizes) => {
    const rows = rowsOf(Array.from({ length: count }, (_, image) => ({ image, length: 0 })))
    const large = { model: { ...model.model, image_tokens: [tokens, 8] } } as unknown as OpenModel
    const calls = callsFor({ rows, inputs: { image: "image" }, model: large, batch_size })
    expect(calls.map((call) => call.rows.length)).toEqual(sizes)
    expect(firstTimes(calls)).toEqual([...rows.keys()])
  })
})
