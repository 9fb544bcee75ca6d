import { assert, describe, it } from "vitest"
import { gumbels, normals, randomKey, uniformAt, uniforms } from "../src/Random.ts"

const mean = (values: Float32Array): number => values.reduce((sum, value) => sum + value, 0) / values.length
const variance = (values: Float32Array): number => {
  const centre = mean(values)
  return values.reduce((sum, value) => sum + (value - centre) ** 2, 0) / values.length
}

describe("Random", () => {
  it("is Philox4x32-10: the known answers of Random123 for key 0", () => {
    const words = [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]
    assert.deepStrictEqual(
      [...uniforms([0, 0], 4)],
      words.map((word) => Math.fround((word + 0.5) / 2 ** 32))
    )
    assert.strictEqual(uniformAt([0, 0], 0), (words[0]! + 0.5) / 2 ** 32)
  })

  it("is one stream per seed and name, read at any place", () => {
    const key = randomKey(17, "init", "temp")
    const all = uniforms(key, 1000)
    assert.deepStrictEqual(uniforms(key, 10), all.slice(0, 10))
    assert.strictEqual(Math.fround(uniformAt(key, 5)), all[20])
    const others = [randomKey(18, "init", "temp"), randomKey(17, "init", "tem"), randomKey(17, "initt", "emp")]
    for (const other of others) assert.notDeepEqual(uniforms(other, 4), all.slice(0, 4))
  })

  it("has the moments of its distributions", () => {
    const n = 100_000
    const u = uniforms(randomKey(1, "u"), n)
    const z = normals(randomKey(1, "z"), n)
    const g = gumbels(randomKey(1, "g"), n)
    // Five standard errors.
    assert.closeTo(mean(u), 0.5, 0.005)
    assert.closeTo(variance(u), 1 / 12, 0.002)
    assert.closeTo(mean(z), 0, 0.016)
    assert.closeTo(variance(z), 1, 0.023)
    assert.closeTo(mean(g), 0.5772156649, 0.021)
    assert.closeTo(variance(g), Math.PI ** 2 / 6, 0.06)
  })
})
