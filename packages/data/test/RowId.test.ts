import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { canonicalJson, derivedRowIds, keyOf, rowIdHex, sha256, sourceRowIds } from "../src/index.ts"

describe("row ids", () => {
  it("are the first 16 bytes of a sha256 over kind, key and index", () => {
    const index = Buffer.from([3, 1, 0, 0, 0, 0, 0, 0])
    const expected = createHash("sha256").update("source\0abc\0").update(index).digest("hex").slice(0, 32)
    assert.strictEqual(rowIdHex(sourceRowIds("abc", 258, 2), 1), expected)
  })

  it("of children differ by parent, node and ordinal", () => {
    const parents = sourceRowIds("abc", 0, 2)
    const ids = new Set<string>()
    for (const node of ["captions", "captions2"]) {
      for (const ordinal of [0, 1, 2]) {
        const derived = derivedRowIds(parents, node, Int32Array.of(ordinal, ordinal))
        ids.add(rowIdHex(derived, 0)).add(rowIdHex(derived, 1))
      }
    }
    assert.strictEqual(ids.size, 12)
  })
})

describe("canonical JSON", () => {
  it("sorts keys, drops undefined and keeps array order", () => {
    assert.strictEqual(
      canonicalJson({ b: [2, 1, { d: null, c: "\u00e9" }], a: undefined, A: -0, "": 1e21 }),
      '{"":1e+21,"A":0,"b":[2,1,{"c":"\u00e9","d":null}]}'
    )
    assert.strictEqual(keyOf({ x: 1, y: 2 }), keyOf({ y: 2, x: 1 }))
  })

  it("is hashed as UTF-8", () => {
    assert.strictEqual(sha256("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
  })
})
