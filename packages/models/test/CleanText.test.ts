/** cleaned_texts.json: 220 garbled, escaped and untouched texts in 20 scripts, cleaned by open_clip's code with ftfy 6.3.1. */
import * as fc from "fast-check"
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { cleanText, fixText } from "../src/text/CleanText.ts"

interface Cleaned {
  readonly text: string
  readonly cleaned: string
}
const file = new URL("fixtures/cleaned_texts.json", import.meta.url)
const texts = JSON.parse(readFileSync(file, "utf8")) as ReadonlyArray<Cleaned>

describe("cleanText", () => {
  it("gives what ftfy and html.unescape give", () => {
    for (const { text, cleaned } of texts) assert.strictEqual(cleanText(text), cleaned, JSON.stringify(text))
    assert.isAbove(texts.length, 200)
  })

  it.each([
    ["caf\u00C3\u00A9", "caf\u00E9"],
    ["\u00E2\u20AC\u0153quoted\u00E2\u20AC\u009D", '"quoted"'],
    ["&amp;amp;lt;", "<"],
    ["a <b> &lt;", "a <b> <"],
    ["\uFB01ne \u2018x\u2019\t y\u0007", "fine 'x' y"],
    ["\uFF26\uFF35\uFF2C\uFF2C", "FULL"]
  ])("%j becomes %j", (text, cleaned) => assert.strictEqual(cleanText(text), cleaned))

  it("leaves ASCII without entities as it is", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from("abcXYZ 019.,!?'\"<>-")) }), (text) => {
        assert.strictEqual(fixText(text), text)
      })
    )
  })

  it("ends, and has nothing left to do afterwards, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
        const fixed = fixText(text)
        assert.isTrue(fixed.isWellFormed())
        if (!fixed.includes("&")) assert.strictEqual(fixText(fixed), fixed)
      })
    )
  })
})
