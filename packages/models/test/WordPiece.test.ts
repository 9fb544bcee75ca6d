import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { bertWords } from "../src/text/BertWords.ts"
import { preCaption } from "../src/text/PreCaption.ts"
import { wordPiece } from "../src/text/WordPiece.ts"
import { readJson, readText } from "./Safetensors.ts"

interface Expected {
  readonly text: string
  readonly input_ids: ReadonlyArray<number>
  readonly unpadded_untruncated: ReadonlyArray<number>
  readonly decoded: string
}

const tokenizer = wordPiece(readText("blip_itm/vocab.txt"))

describe("WordPiece against BertTokenizer", () => {
  it.each(readJson<Array<Expected>>("blip_itm/expected_tokens.json"))("$text", (expected) => {
    assert.deepStrictEqual([...tokenizer.encode(expected.text, 10_000)], [...expected.unpadded_untruncated])
    const max_length = expected.input_ids.length
    const ids = [...tokenizer.encode(expected.text, max_length)]
    assert.deepStrictEqual([...ids, ...Array(max_length - ids.length).fill(tokenizer.pad)], [...expected.input_ids])
    assert.strictEqual(tokenizer.decode(expected.unpadded_untruncated), expected.decoded)
  })

  it("gives [DEC] and [ENC] the ids behind the vocabulary's end", () => {
    const lines = readText("blip_itm/vocab.txt").trimEnd().split("\n").length
    assert.deepStrictEqual([tokenizer.dec, tokenizer.enc, tokenizer.vocab_size], [lines, lines + 1, lines + 2])
  })

  it("can leave the names of special tokens in a text alone", () => {
    const literal = wordPiece(readText("blip_itm/vocab.txt"), { literal: true })
    const ids = [...literal.encode("a [SEP] b", 100)]
    assert.strictEqual(ids.indexOf(literal.end), ids.length - 1)
  })

  it("keeps to the length and to known ids, whatever the text", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary", maxLength: 200 }),
        fc.integer({ min: 2, max: 40 }),
        (text, max_length) => {
          const ids = tokenizer.encode(text, max_length)
          assert.isAtMost(ids.length, max_length)
          assert.strictEqual(ids[0], tokenizer.start)
          assert.strictEqual(ids.at(-1), tokenizer.end)
          assert.isTrue(ids.every((id) => id >= 0 && id < tokenizer.vocab_size))
        }
      )
    )
  })

  it("gives words the same words back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", maxLength: 60 }), (text) => {
        const words = bertWords(text)
        assert.deepStrictEqual(bertWords(words.join(" ")), words)
      })
    )
  })

  it("refuses a vocabulary without the tokens it needs", () => {
    assert.throws(() => wordPiece(["[PAD]", "a"]), "[UNK], [CLS], [SEP] missing")
    assert.throws(() => wordPiece("[PAD]\n[UNK]\n[CLS]\n[SEP]\na\na\n"), '"a" stands there twice')
  })
})

describe("preCaption", () => {
  it("lowers, drops punctuation, collapses, cuts", () => {
    assert.strictEqual(preCaption('A "Dog" (brown)...  runs: fast!\n', 3), "a dog brown")
    assert.strictEqual(preCaption("it's 5 o'clock, now"), "it's 5 o'clock, now")
  })
})
