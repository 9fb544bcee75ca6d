import { readFileSync } from "node:fs"
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset } from "../src/Presets.ts"
import { sentencePiece, sentencePieceVocabulary } from "../src/text/SentencePiece.ts"
import { tokenizerOf } from "../src/text/TokenizerOf.ts"
import { readJson } from "./Safetensors.ts"

const bytes = new Uint8Array(readFileSync(new URL("../../../test/parity/siglip_model/spiece.model", import.meta.url)))

interface Expected {
  readonly text: string
  readonly unpadded_untruncated: ReadonlyArray<number>
  readonly decoded: string
}
const expected = readJson<ReadonlyArray<Expected>>("siglip_model/expected_tokens.json")

/** A field of a protocol buffer. */
const field = (id: number, value: Uint8Array | number): ReadonlyArray<number> =>
  typeof value === "number" ? [id * 8, value] : [id * 8 + 2, value.length, ...value]
const piece = (text: string, kind: number): ReadonlyArray<number> =>
  field(1, Uint8Array.from([...field(1, new TextEncoder().encode(text)), ...field(3, kind)]))
const plain = [...piece("<unk>", 2), ...piece("</s>", 3), ...piece("\u2581a", 1)]
const made = (...parts: ReadonlyArray<ReadonlyArray<number>>): Uint8Array => Uint8Array.from(parts.flat())

describe("SentencePiece", () => {
  it("gives the ids and texts of transformers' SiglipTokenizer", () => {
    const tokenizer = sentencePiece(bytes)
    for (const { text, unpadded_untruncated, decoded } of expected) {
      assert.deepStrictEqual([...tokenizer.encode(text, 1e6)], [...unpadded_untruncated], text)
      assert.strictEqual(tokenizer.decode(unpadded_untruncated), decoded)
    }
    assert.isAbove(expected.length, 500)
  })

  it("cuts to a length with the end last, and never lets a literal text end itself", () => {
    const tokenizer = sentencePiece(bytes, { literal: true })
    const ids = [...tokenizer.encode("a photo </s> of two dogs and a cat", 6)]
    assert.strictEqual(ids.length, 6)
    assert.strictEqual(ids.indexOf(tokenizer.end), 5)
  })

  it("is carried as text", () => {
    const model = modelFromConfig(preset("siglip", "nano", { vocab_size: 700 }))
    const carried = tokenizerOf(model, sentencePieceVocabulary(bytes, { lower: false }))
    const own = sentencePiece(bytes, { lower: false })
    for (const { text } of expected.slice(0, 50)) assert.deepStrictEqual(carried.encode(text, 64), own.encode(text, 64))
    const small = modelFromConfig(preset("siglip", "nano", { vocab_size: 30 }))
    assert.throws(() => tokenizerOf(small, sentencePieceVocabulary(bytes, {})), "30 embeddings")
  })

  it("reads a file with the least in it", () => {
    assert.deepStrictEqual([...sentencePiece(made(plain)).encode("A a", 9)], [2, 2, 1])
  })

  it.each([
    ["a BPE", made(plain, field(2, Uint8Array.from(field(3, 2)))), "model_type 2: expected a unigram model"],
    ["a byte piece", made(plain, piece("<0x00>", 6)), 'the piece "<0x00>" is of kind 6'],
    ["no end", made(piece("<unk>", 2)), "the piece </s> is missing"],
    ["no unknown", made(piece("</s>", 3)), "no piece for the unknown"],
    ["a field behind the end", made(plain, [10, 100, 1]), "a field of 100 bytes with 1 left"],
    ["an endless number", Uint8Array.from({ length: 30 }, () => 255), "a number of more than 10 bytes"],
    [
      "a map that is none",
      made(plain, field(3, Uint8Array.from(field(2, Uint8Array.of(255, 255, 255, 0))))),
      "a trie of"
    ]
  ])("refuses %s by name", (_name, file, message) => {
    assert.throws(() => sentencePiece(file), message)
  })

  it("throws an Error, and nothing else, on damaged files, and encodes with those it can read", () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, value, cuts) => {
        const damaged = cuts ? bytes.slice(0, at) : bytes.with(at, value)
        try {
          assert.isArray([...sentencePiece(damaged).encode("two dogs, \u00BD a caf\u00e9", 20)])
        } catch (error) {
          assert.instanceOf(error, Error)
          assert.notInstanceOf(error, RangeError)
          assert.notInstanceOf(error, TypeError)
        }
      }),
      { numRuns: 300 }
    )
  })
})
