import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { decodeTensors, encodeTensors, openTensorFile } from "../../src/tensor/TensorFile.ts"

const float32 = fc
  .array(fc.float({ noNaN: true }), { maxLength: 12 })
  .map((values) => ({ shape: [values.length], dtype: "float32" as const, data: Float32Array.from(values) }))
const int32 = fc
  .array(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }), { minLength: 2, maxLength: 2 })
  .map((values) => ({ shape: [1, 2], dtype: "int32" as const, data: Int32Array.from(values) }))
const bool = fc
  .array(fc.nat({ max: 1 }), { minLength: 3, maxLength: 3 })
  .map((values) => ({ shape: [3], dtype: "bool" as const, data: Uint8Array.from(values) }))

describe("tensor files", () => {
  it("hold what was put in, at any place in memory", () => {
    const name = fc.stringMatching(/^[a-z./]{1,8}$/)
    fc.assert(
      fc.property(fc.dictionary(name, fc.oneof(float32, int32, bool)), fc.nat({ max: 7 }), (tensors, shift) => {
        const bytes = encodeTensors(tensors)
        const moved = new Uint8Array(bytes.length + shift)
        moved.set(bytes, shift)
        expect(decodeTensors(moved.subarray(shift), "test")).toEqual({ ...tensors })
      })
    )
  })

  it("are refused when they are cut", () => {
    const bytes = encodeTensors({ a: { shape: [4], dtype: "float32", data: new Float32Array(4) } })
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeTensors(bytes.subarray(0, length), "weights")).toThrow(/weights/)
    }
  })

  it("that are filled in afterwards are the file that the tensors make", () => {
    const { file, tensors } = openTensorFile({ b: [2, 2], a: [3], "c.d": [] })
    tensors["a"]!.data.set([1, 2, 3])
    tensors["b"]!.data.set([4, 5, 6, 7])
    tensors["c.d"]!.data.set([8])
    const apart = {
      "c.d": { shape: [], dtype: "float32" as const, data: Float32Array.of(8) },
      a: { shape: [3], dtype: "float32" as const, data: Float32Array.of(1, 2, 3) },
      b: { shape: [2, 2], dtype: "float32" as const, data: Float32Array.of(4, 5, 6, 7) }
    }
    expect(file).toEqual(encodeTensors(apart))
    expect(tensors).toEqual(apart)
  })
})
