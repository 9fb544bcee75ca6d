import { it } from "@effect/vitest"
import * as fc from "fast-check"
import { assert, describe } from "vitest"
import { clip, escape, html } from "../src/Html.ts"

describe("Html", () => {
  it("escapes whatever is put into a template, in text and attributes", () => {
    const hostile = `"><script>alert('x')</script>&`
    assert.strictEqual(
      html`<p title="${hostile}">${hostile}</p>`.text,
      `<p title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;</p>`
    )
  })

  it("leaves HTML and joins arrays", () => {
    assert.strictEqual(html`${["a", "<"].map((x) => html`<li>${x}</li>`)}${undefined}`.text, "<li>a</li><li>&lt;</li>")
  })

  it("replaces control characters and bidirectional overrides", () => {
    assert.strictEqual(escape("a\u202eb\u0000c\u0007d\ne"), "a\ufffdb\ufffdc\ufffdd\ne")
  })

  it("never lets a markup character through", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => !/[<>"']/.test(escape(text))))
  })

  it("clips by code points", () => {
    assert.strictEqual(clip("\u{1f6a3}\u{1f6a3}\u{1f6a3}", 3), "\u{1f6a3}\u{1f6a3}\u{1f6a3}")
    assert.strictEqual(clip("\u{1f6a3}\u{1f6a3}\u{1f6a3}", 2), "\u{1f6a3}…")
    assert.strictEqual(Array.from(clip("x".repeat(10_000), 160)).length, 160)
  })
})
