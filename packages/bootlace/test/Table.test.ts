import { it } from "@effect/vitest"
import { assert, describe } from "vitest"
import { cellWidth, printable, table } from "../src/Table.ts"

describe("Table", () => {
  it("aligns columns, numbers to the right", () => {
    assert.strictEqual(
      table(
        [{ title: "node" }, { title: "rows", align: "right" }],
        [
          ["web", "6144"],
          ["captions_clean", "12"]
        ]
      ),
      ["node            rows", "--------------  ----", "web             6144", "captions_clean    12"].join("\n")
    )
  })

  it("knows that emoji and East Asian characters take two cells", () => {
    assert.strictEqual(cellWidth("abc"), 3)
    assert.strictEqual(cellWidth("\u{1f6a3}"), 2)
    assert.strictEqual(cellWidth("\u{1f469}\u200d\u{1f680}"), 2)
    assert.strictEqual(cellWidth("\u6f22\u5b57"), 4)
  })

  it("lets no control character through", () => {
    assert.strictEqual(printable("a\u001b[31mb\nc\u202e"), "a\ufffd[31mb\ufffdc\ufffd")
  })
})
