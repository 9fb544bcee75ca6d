import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { descending } from "../src/decoding/Descending.ts"

describe("descending", () => {
  it("gives the numbers as comparing them does, and leaves its own alone", () => {
    fc.assert(
      fc.property(fc.float32Array({ noNaN: true, maxLength: 200 }), fc.float({ noNaN: true }), (values, repeated) => {
        values.fill(repeated, 0, values.length >> 2)
        const before = values.slice()
        expect([...descending(values)]).toEqual([...values.slice().sort().reverse()])
        expect([...values]).toEqual([...before])
      })
    )
  })

  it("knows zeros, infinities and the smallest numbers", () => {
    const values = Float32Array.of(-0, 1e-45, Infinity, 0, -1e-45, -Infinity, 1, -1)
    expect([...descending(values)]).toEqual([
      Infinity,
      1,
      Math.fround(1e-45),
      0,
      -0,
      Math.fround(-1e-45),
      -1,
      -Infinity
    ])
    expect(descending(new Float32Array(0)).length).toBe(0)
  })
})
