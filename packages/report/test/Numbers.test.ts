import { it } from "@effect/vitest"
import { assert, describe } from "vitest"
import { bytes, count, duration, number, percent, signed } from "../src/Numbers.ts"

describe("Numbers", () => {
  it("keeps the digits that tell", () => {
    assert.deepStrictEqual([0, 0.0412345, 0.91349, 12.345, 123.456, 1234.5, 1.25e-7, -0.5, NaN].map(number), [
      "0",
      "0.0412",
      "0.913",
      "12.35",
      "123.5",
      "1\u202f235",
      "1.2e\u22127",
      "\u22120.500",
      "NaN"
    ])
    assert.strictEqual(signed(0.25), "+0.250")
    assert.strictEqual(count(1234567), "1\u202f234\u202f567")
  })

  it("says times and sizes with their units", () => {
    assert.deepStrictEqual([0.034, 0.9999, 7.23, 59.97, 245, 7621, NaN].map(duration), [
      "34 ms",
      "1.0 s",
      "7.2 s",
      "1 min 00 s",
      "4 min 05 s",
      "2 h 07 min",
      "\u2013"
    ])
    assert.deepStrictEqual([0, 900, 1434, 15 * 1024 ** 2].map(bytes), ["0 B", "900 B", "1.4 KiB", "15 MiB"])
    assert.deepStrictEqual([0.9134, 0.0412, NaN].map(percent), ["91.3 %", "4.12 %", "\u2013"])
  })
})
