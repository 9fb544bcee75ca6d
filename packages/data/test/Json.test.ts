import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { DataError, defaultLimits, parseJson, withLimits } from "../src/index.ts"

const parse = (text: string | Uint8Array, limits = defaultLimits): unknown =>
  parseJson(typeof text === "string" ? new TextEncoder().encode(text) : text, limits, { file: "some.json", row: 2 })

describe("parseJson", () => {
  it("agrees with JSON.parse on every JSON value", () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 4, stringUnit: "binary" }), fc.constantFrom(0, 2), (value, indent) => {
        const text = JSON.stringify(value, undefined, indent)
        assert.deepStrictEqual(parse(text), JSON.parse(text))
      })
    )
  })

  it("gives a value or a DataError, whatever the text", () => {
    const token = fc.constantFrom("{", "}", "[", "]", ":", ",", '"a"', '"', "\\", "1", " ", "null", '"a":1')
    fc.assert(
      fc.property(fc.array(token, { maxLength: 12 }), (tokens) => {
        try {
          parse(tokens.join(""))
        } catch (error) {
          assert.instanceOf(error, DataError)
        }
      }),
      { numRuns: 2_000 }
    )
  })

  it("refuses a key that stands twice, in one object only", () => {
    assert.deepStrictEqual(parse('{"a":{"a":[{"a":1},{"a":2}]},"b":"a"}'), { a: { a: [{ a: 1 }, { a: 2 }] }, b: "a" })
    assert.throws(() => parse('{"a":1,"b":["a"],"a" :2}'), DataError, 'some.json row=2  key "a" stands twice')
  })

  it("sees a key that stands twice in another spelling", () => {
    assert.throws(() => parse('{"a":1,"\\u0061":2}'), DataError, 'key "a" stands twice')
    assert.throws(() => parse('{"a":1,"\\x":2}'), DataError, "JSON")
  })

  it("refuses depth, length and bytes that are no text, by name", () => {
    assert.throws(() => parse("[".repeat(65)), DataError, "json_depth is limited; expected at most 64, got 65")
    assert.throws(() => parse("[1]", withLimits({ json_bytes: 2 })), DataError, "json_bytes is limited")
    assert.throws(() => parse(Uint8Array.of(0x22, 0xc3, 0x22)), DataError, "bytes are not UTF-8")
  })

  it("reads long strings and many keys", () => {
    const long = '\\"'.repeat(4_000_000)
    assert.strictEqual((parse(`{"a":"${long}"}`) as { a: string }).a.length, 4_000_000)
    const many = Object.fromEntries(Array.from({ length: 100_000 }, (_, i) => [`k${i}`, i]))
    assert.deepStrictEqual(parse(JSON.stringify(many)), many)
  })

  it("keeps __proto__ an ordinary key", () => {
    const value = parse('{"__proto__":{"polluted":true}}') as object
    assert.deepStrictEqual(Object.keys(value), ["__proto__"])
    assert.isUndefined(({} as { polluted?: unknown }).polluted)
  })
})
