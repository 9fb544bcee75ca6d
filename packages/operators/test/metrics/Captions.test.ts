import { describe, expect, it } from "vitest"
import fc from "fast-check"
import coco from "../reference/caption_metrics.json" with { type: "json" }
import { bleu } from "../../src/metrics/Bleu.ts"
import { ciderD, documentFrequency } from "../../src/metrics/Cider.ts"
import { longestCommonSubsequence, rougeL } from "../../src/metrics/RougeL.ts"
import { tokenF1 } from "../../src/metrics/TokenF1.ts"
import { words } from "../../src/metrics/Words.ts"
import type { Judged } from "../../src/metrics/Words.ts"

describe("words", () => {
  // COCO's script leaves "-lrb-" and "-rrb-" in because it lower-cases before it looks for punctuation.
  const withoutBrackets = (tokens: ReadonlyArray<string>) => tokens.filter((each) => !/^-[lr]rb-$/.test(each))

  it.each(coco.tokens)("splits $text as Stanford's tokeniser does", ({ text, tokens }) => {
    expect(words(text)).toEqual(withoutBrackets(tokens))
  })

  it("gives no word for punctuation, blanks or nothing", () => {
    expect(words(" ... \u2019 `` ()-- ")).toEqual([])
    expect(words("")).toEqual([])
  })

  it("is stable on its own output", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."abé 'n-.,:7()st&#") }), (text) => {
        const once = words(text)
        expect(words(once.join(" ")).length).toBeGreaterThanOrEqual(once.length)
        for (const word of once) expect(word).toMatch(/^\S+$/)
      })
    )
  })
})

describe.each(["several_references", "one_reference", "one_image"] as const)("scores of %s equal COCO's", (name) => {
  const split = (text: string) => text.split(" ")
  const wanted = coco[name]
  const corpus: ReadonlyArray<Judged> = wanted.images.map((image) => ({
    caption: split(image.caption),
    references: image.references.map(split)
  }))

  it("BLEU", () => {
    expect(bleu(corpus, 1)).toBeCloseTo(wanted.bleu_1, 12)
    expect(bleu(corpus)).toBeCloseTo(wanted.bleu_4, 12)
  })

  it("ROUGE-L", () => {
    const scores = corpus.map(rougeL)
    scores.forEach((score, i) => expect(score).toBeCloseTo(wanted.rouge_l_each[i]!, 12))
    expect(scores.reduce((a, b) => a + b, 0) / scores.length).toBeCloseTo(wanted.rouge_l, 12)
  })

  it("CIDEr-D", () => {
    const frequency = documentFrequency(corpus.map((each) => each.references))
    const scores = ciderD(corpus, frequency, corpus.length)
    scores.forEach((score, i) => expect(score).toBeCloseTo(wanted.cider_d_each[i]!, 10))
    expect(scores.reduce((a, b) => a + b, 0) / scores.length).toBeCloseTo(wanted.cider_d, 10)
  })
})

describe("edges", () => {
  const empty: Judged = { caption: [], references: [["a", "cat"]] }
  const frequency = documentFrequency([[["a", "cat"]]])

  it("an empty caption scores 0 everywhere", () => {
    expect(rougeL(empty)).toBe(0)
    expect(tokenF1(empty)).toBe(0)
    expect(bleu([empty])).toBeCloseTo(0, 12)
    expect(ciderD([empty], frequency, 1)).toEqual([0])
  })

  it("word F1 counts repeats and takes the best reference", () => {
    const judged = { caption: ["red", "red", "car"], references: [["blue"], ["red", "car"]] }
    expect(tokenF1(judged)).toBeCloseTo((2 * 2) / 5, 12)
    expect(tokenF1({ caption: ["red", "car"], references: [["car", "red"]] })).toBe(1)
  })

  it("the longest common subsequence is symmetric and at most the shorter sentence", () => {
    const sentence = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 12 })
    fc.assert(
      fc.property(sentence, sentence, (a, b) => {
        const common = longestCommonSubsequence(a, b)
        expect(common).toBe(longestCommonSubsequence(b, a))
        expect(common).toBeLessThanOrEqual(Math.min(a.length, b.length))
        expect(longestCommonSubsequence(a, [...b, ...a])).toBe(a.length)
      })
    )
  })
})
