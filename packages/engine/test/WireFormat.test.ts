import { describe, expect, it } from "@effect/vitest"
import * as fc from "fast-check"
import { bytes, float, integer, joined, message, text } from "../src/WireFormat.ts"
import type { Message } from "../src/WireFormat.ts"

const hex = (field: Message) => Buffer.from(joined(field)).toString("hex")

/** The format read back number by number, in exact integers. */
function fieldsOf(encoded: Uint8Array): ReadonlyArray<readonly [field: number, value: bigint | Uint8Array]> {
  const fields: Array<readonly [number, bigint | Uint8Array]> = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = encoded[at++]!
      value |= BigInt(byte & 127) << shift
      if (byte < 128) return value
    }
  }
  while (at < encoded.length) {
    const tag = Number(varint())
    const long = tag % 8 === 2
    const value = varint()
    fields.push([tag >> 3, long ? encoded.slice(at, at + Number(value)) : value])
    if (long) at += Number(value)
  }
  return fields
}

describe("protocol buffers' wire format", () => {
  // The first four are the examples of protobuf.dev/programming-guides/encoding.
  it.each<readonly [Message, string]>([
    [integer(1, 150), "089601"],
    [text(2, "testing"), "120774657374696e67"],
    [message(3, integer(1, 150)), "1a03089601"],
    [integer(1, -2), "08feffffffffffffffff01"],
    [integer(3, 0), "1800"],
    [integer(16, 1), "800101"],
    [float(2, 1), "150000803f"],
    [text(1, "é%"), "0a03c3a925"],
    [message(7), "3a00"]
  ])("writes %#", (field, expected) => {
    expect(hex(field)).toBe(expected)
  })

  it("writes every whole number", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 500 }), fc.maxSafeInteger(), (field, value) => {
        expect(fieldsOf(joined(integer(field, value)))).toEqual([[field, BigInt.asUintN(64, BigInt(value))]])
      })
    )
  })

  it("writes every text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (content) => {
        expect(fieldsOf(joined(text(1, content)))).toEqual([[1, new Uint8Array(Buffer.from(content))]])
      })
    )
  })

  it.each([0, 127, 128, 4096, 4097, 20_000])("nests %i bytes", (length) => {
    const content = Uint8Array.from({ length }, (_, index) => index % 251)
    const [[field, inner] = [], ...others] = fieldsOf(joined(message(2, integer(1, length), bytes(3, content))))
    expect([field, others]).toEqual([2, []])
    expect(fieldsOf(inner as Uint8Array)).toEqual([
      [1, BigInt(length)],
      [3, content]
    ])
  })
})
