import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { byteLevelBPE } from "../src/text/ByteLevelBPE.ts"
import { readJson, readText } from "./Safetensors.ts"

interface Expected {
  readonly text: string
  readonly input_ids: ReadonlyArray<number>
  readonly unpadded_untruncated: ReadonlyArray<number>
  readonly decoded: string
}

const tokenizerOf = (name: string) =>
  byteLevelBPE({ vocab: readJson(`${name}/vocab.json`), merges: readText(`${name}/merges.txt`) })

describe.each(["clip_quickgelu", "clip_gelu"])("byte-level BPE against CLIPTokenizer: %s", (name) => {
  const tokenizer = tokenizerOf(name)

  it.each(readJson<Array<Expected>>(`${name}/expected_tokens.json`))("$text", (expected) => {
    const max_length = expected.input_ids.length
    assert.deepStrictEqual([...tokenizer.encode(expected.text, 10_000)], [...expected.unpadded_untruncated])
    const ids = [...tokenizer.encode(expected.text, max_length)]
    assert.deepStrictEqual([...ids, ...Array(max_length - ids.length).fill(tokenizer.pad)], [...expected.input_ids])
    assert.strictEqual(tokenizer.decode(expected.unpadded_untruncated), expected.decoded)
  })
})

describe("byte-level BPE", () => {
  const tokenizer = tokenizerOf("clip_gelu")

  it("gives every text back, up to case, composition and spaces", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
        const letters = (of: string): string =>
          of
            .normalize("NFC")
            .toLowerCase()
            .replace(/\p{White_Space}/gu, "")
        assert.strictEqual(letters(tokenizer.decode(tokenizer.encode(text, 10_000))), letters(text))
      })
    )
  })

  it("takes a word of 20,000 letters in a moment", () => {
    assert.lengthOf(tokenizer.encode("photo".repeat(4000), 77), 77)
  })
})
