import { assert, describe, it } from "vitest"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset } from "../src/Presets.ts"
import { tokenizerOf } from "../src/text/TokenizerOf.ts"
import { unigramJson, unigramVocabulary } from "../src/text/UnigramJson.ts"
import { readJson } from "./Safetensors.ts"

const file = readJson<any>("variants/tokens_unigram_json/tokenizer.json")
const expected = readJson<ReadonlyArray<{ text: string; unpadded_untruncated: ReadonlyArray<number> }>>(
  "variants/tokens_unigram_json/expected_tokens.json"
)

const template = { type: "TemplateProcessing", single: [{ Sequence: { id: "A" } }, { SpecialToken: { id: "</s>" } }] }
const least = {
  model: {
    type: "Unigram",
    unk_id: 0,
    vocab: [
      ["<unk>", 0],
      ["</s>", 0],
      ["ab", -1],
      ["a", -2],
      ["b", -2]
    ]
  },
  post_processor: template
}

describe("a unigram tokenizer.json", () => {
  it("gives the ids of Hugging Face's tokenizers", () => {
    const tokenizer = unigramJson(file)
    for (const { text, unpadded_untruncated } of expected)
      assert.deepStrictEqual([...tokenizer.encode(text, 1e6)], [...unpadded_untruncated], text)
    assert.isAbove(expected.length, 500)
  })

  it("is carried as text", () => {
    const model = modelFromConfig(preset("siglip", "nano", { vocab_size: 700 }))
    const carried = tokenizerOf(model, unigramVocabulary(file, {}))
    for (const { text } of expected.slice(0, 30))
      assert.deepStrictEqual(carried.encode(text, 64), unigramJson(file).encode(text, 64))
  })

  it("takes the likelier cut, joins unknown neighbours and ends every text", () => {
    const tokenizer = unigramJson(least)
    assert.deepStrictEqual([...tokenizer.encode("abxyb", 9)], [2, 0, 4, 1])
    assert.deepStrictEqual([...tokenizer.encode("", 9)], [1])
  })

  it.each([
    ["normalizer", { type: "BertNormalizer" }, 'normalizer.type: "BertNormalizer"'],
    ["normalizer", { type: "Replace", pattern: { Regex: "(" }, content: "" }, 'normalizer.pattern.Regex: "("'],
    ["normalizer", { type: "Replace", pattern: { Regex: "(a+)+$" }, content: "" }, "(a+)+$"],
    ["normalizer", { type: "Precompiled", precompiled_charsmap: "/////w==" }, "a trie of"],
    ["pre_tokenizer", { type: "ByteLevel" }, 'pre_tokenizer.type: "ByteLevel"'],
    ["post_processor", { type: "BertProcessing" }, 'post_processor: "BertProcessing"'],
    ["model", { ...least.model, byte_fallback: true }, "model.byte_fallback: true"],
    ["model", { ...least.model, unk_id: 9 }, "model.unk_id: 9"],
    ["model", { ...least.model, vocab: [["a", 0], 7] }, "model.vocab[1]"],
    ["model", { type: "WordLevel" }, 'model.type: "WordLevel"']
  ])("names what it doesn't support: %s, %#", (key, value, message) => {
    assert.throws(() => unigramJson({ ...least, [key]: value }), message)
  })
})
