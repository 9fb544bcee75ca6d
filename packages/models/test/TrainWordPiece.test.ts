import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { SPECIAL_TOKENS } from "../src/text/SpecialTokens.ts"
import { countWords, trainWordPiece } from "../src/text/TrainWordPiece.ts"
import { wordPiece } from "../src/text/WordPiece.ts"

const countsOf = (texts: ReadonlyArray<string>): Map<string, number> => {
  const counts = new Map<string, number>()
  for (const text of texts) countWords(counts, text)
  return counts
}

/** The definition, slowly: count every pair of every word again for each join. */
const slowly = (
  counts: ReadonlyMap<string, number>,
  alphabetSize: number,
  vocab_size: number
): ReadonlyArray<string> => {
  const words = [...counts].sort(([a], [b]) => (a < b ? -1 : 1))
  const split = words.map(([word, count]) => ({
    pieces: Array.from(word).map((c, i) => (i === 0 ? c : `##${c}`)),
    count
  }))
  const alphabet = [...new Set(words.flatMap(([word]) => Array.from(word)))].sort(
    (a, b) => a.codePointAt(0)! - b.codePointAt(0)!
  )
  assert.isAtMost(alphabet.length, alphabetSize)
  const pieces = [...new Set([...SPECIAL_TOKENS, ...alphabet, ...split.flatMap((word) => word.pieces).sort()])]
  while (pieces.length < vocab_size) {
    const pairs = new Map<string, { left: string; right: string; count: number }>()
    for (const { pieces: at, count } of split)
      for (let i = 1; i < at.length; i++) {
        const key = `${at[i - 1]} ${at[i]}`
        pairs.set(key, { left: at[i - 1]!, right: at[i]!, count: (pairs.get(key)?.count ?? 0) + count })
      }
    const rank = (piece: string): number => pieces.indexOf(piece)
    const [best] = [...pairs.values()].sort(
      (a, b) => b.count - a.count || rank(a.left) - rank(b.left) || rank(a.right) - rank(b.right)
    )
    if (best === undefined || best.count < 2) break
    const joined = best.left + best.right.replace(/^##/, "")
    if (!pieces.includes(joined)) pieces.push(joined)
    for (const word of split)
      for (let i = 1; i < word.pieces.length; i++)
        if (word.pieces[i - 1] === best.left && word.pieces[i] === best.right) word.pieces.splice(i - 1, 2, joined)
  }
  return pieces
}

const words = fc.dictionary(
  fc.string({ unit: fc.constantFrom("a", "b", "c", "d"), minLength: 1, maxLength: 8 }),
  fc.integer({ min: 1, max: 9 }),
  {
    minKeys: 1,
    maxKeys: 12
  }
)

describe("trainWordPiece", () => {
  it("joins what occurs most often", () => {
    const pieces = trainWordPiece(
      new Map([
        ["running", 9],
        ["run", 5],
        ["sunning", 4],
        ["sun", 3]
      ]),
      { vocab_size: 60 }
    )
    assert.includeMembers([...pieces], ["run", "##ning", "running"])
    const tokenizer = wordPiece(pieces)
    assert.strictEqual(tokenizer.decode(tokenizer.encode("Running run", 20)), "running run")
  })

  it("does what counting all pairs again for each join does", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 30, max: 60 }), (counts, vocab_size) => {
        const map = new Map(Object.entries(counts))
        assert.deepStrictEqual(trainWordPiece(map, { vocab_size }), slowly(map, 4, vocab_size))
      })
    )
  })

  it("doesn't depend on the order in which words were counted", () => {
    fc.assert(
      fc.property(words, (counts) => {
        const forward = new Map(Object.entries(counts))
        const backward = new Map(Object.entries(counts).reverse())
        assert.deepStrictEqual(
          trainWordPiece(forward, { vocab_size: 50 }),
          trainWordPiece(backward, { vocab_size: 50 })
        )
      })
    )
  })

  it("keeps to vocab_size however many characters there are", () => {
    const counts = countsOf([
      Array.from({ length: 2000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join(" "),
      "a dog and a dog"
    ])
    const pieces = trainWordPiece(counts, { vocab_size: 100 })
    assert.isAtMost(pieces.length, 100)
    assert.include([...pieces], "dog")
  })

  it("makes a vocabulary of thousands of pieces in seconds", () => {
    const counts = new Map<string, number>()
    for (let i = 0; i < 8000; i++) counts.set(((i * 2654435761) >>> 0).toString(26).replace(/\d/g, "q"), 1 + (i % 7))
    assert.lengthOf(trainWordPiece(counts, { vocab_size: 4000 }), 4000)
  })
})
