import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { toBfloat16, toFloat16 } from "../src/NarrowFloats.ts"

const cases = JSON.parse(readFileSync(new URL("fixtures/narrow_floats.json", import.meta.url), "utf8")) as Readonly<
  Record<"float32" | "float16" | "bfloat16", ReadonlyArray<number>>
>
const values = new Float32Array(Uint32Array.from(cases.float32).buffer)

describe("16-bit floats have PyTorch's bits", () => {
  it("float16, ties and the smallest ones included", () => {
    expect([...toFloat16(values)]).toEqual(cases.float16)
  })

  it("bfloat16", () => {
    expect([...toBfloat16(values)]).toEqual(cases.bfloat16)
  })

  it("a NaN stays one, whatever its bits", () => {
    const odd = new Float32Array(Uint32Array.of(0x7fc00000, 0xffffffff, 0x7f800001).buffer)
    expect([...toFloat16(odd)]).toEqual([0x7e00, 0xfe00, 0x7e00])
    expect([...toBfloat16(odd)]).toEqual([0x7fc0, 0xffc0, 0x7fc0])
  })
})
