import { textColumn } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import { wordPiece } from "@bootlace/models"
import { describe, expect, it } from "vitest"
import { BuildVocabulary } from "../src/BuildVocabulary.ts"
import { operatorContract } from "./contract.ts"
import { failureOf, rowsOf, runFold, runIn } from "./inMemory.ts"

const texts = ["a red car", "A red Cafe\u0301!", "two red cars", "", null, "x".repeat(10_000), "car car car"]
const columns = { text: textColumn(texts) }

operatorContract(BuildVocabulary, {
  config: { vocab_size: 60 },
  port: "text",
  columns,
  badConfigs: [
    { config: { vocab_size: 3 }, names: /vocab_size/ },
    { config: { min_freq: 3 }, names: /min_freq/ }
  ]
})

const vocabularyOf = async (given: ReadonlyArray<ReadonlyArray<string | null>>, config: unknown = {}) => {
  const batches = given.map((each) => ["text", rowsOf({ text: textColumn(each) })] as const)
  const { files, metrics } = await runIn({}, runFold(BuildVocabulary, { config }, batches))
  return { text: new TextDecoder().decode(files["vocab.txt"]), metrics }
}

describe("BuildVocabulary", () => {
  it("writes a vocabulary that encodes its texts, special tokens first", async () => {
    const { text, metrics } = await vocabularyOf([texts])
    const lines = text.trimEnd().split("\n")
    expect(lines[0]).toBe("[PAD]")
    expect(lines).toEqual(expect.arrayContaining(["[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "car", "red"]))
    expect(metrics["pieces"]).toBe(lines.length)
    const tokenizer = wordPiece(text)
    expect(tokenizer.decode(tokenizer.encode("two red cars", 20))).toBe("two red cars")
    expect(tokenizer.encode("two red cafe", 20)).not.toContain(tokenizer.unk)
  })

  it("doesn't depend on the order of its texts", async () => {
    const one = await vocabularyOf([texts])
    const other = await vocabularyOf([texts.slice(3), texts.slice(0, 3).toReversed()])
    expect(other).toEqual(one)
  })

  it("makes no piece of what is too rare, and none past its size", async () => {
    expect((await vocabularyOf([texts], { min_frequency: 4 })).text).not.toContain("\nred\n")
    const { metrics } = await vocabularyOf([texts], { vocab_size: 16 })
    expect(metrics["pieces"]).toBe(16)
  })

  it("needs a word", async () => {
    const error = await failureOf(
      {},
      runFold(BuildVocabulary, {}, [["text", rowsOf({ text: textColumn([" ", null]) })]])
    )
    expect(error).toBeInstanceOf(NodeError)
  })
})
