import { describe, expect, it } from "vitest"
import { locate, renderDiagnostics } from "../src/Diagnostic.ts"

const finding = (start: number, end: number, label?: string) => ({
  code: "V104",
  message: "unknown column",
  span: { start, end },
  ...(label === undefined ? {} : { label })
})

describe("diagnostics", () => {
  it("have the shape of the manual", () => {
    const text = "nodes:\n  filter: { op: Filter, in: { image: web.imgae } }\n"
    const start = text.indexOf("imgae")
    const hint = "did you mean web.image?"
    const [diagnostic] = locate([{ ...finding(start, start + 5, "node web gives: image, text"), hint }], {
      file: "x.yaml",
      text
    })
    expect(diagnostic).toMatchObject({ file: "x.yaml", line: 2, col: 42, length: 5 })
    expect(renderDiagnostics([diagnostic!])).toBe(
      [
        "error[V104] unknown column  x.yaml:2:42",
        "  2 |   filter: { op: Filter, in: { image: web.imgae } }",
        "    |                                          ^^^^^ node web gives: image, text",
        "hint: did you mean web.image?"
      ].join("\n")
    )
  })

  it("are sorted by place, each once", () => {
    const text = "a\nb\nc\n"
    const placed = locate([finding(4, 5), finding(0, 1), finding(4, 5), finding(2, 3)], { file: "x", text })
    expect(placed.map(({ line }) => line)).toEqual([1, 2, 3])
  })

  it("keep a mistake far to the right in sight", () => {
    const text = `${"x".repeat(500)}HERE${"y".repeat(500)}`
    const [{ frame } = { frame: "" }] = locate([finding(500, 504)], { file: "x", text })
    const [line, carets] = frame!.split("\n")
    expect(line!.length).toBeLessThan(120)
    expect(line!.slice(carets!.indexOf("^"), carets!.lastIndexOf("^") + 1)).toBe("HERE")
  })

  it("print nothing that moves a terminal's cursor", () => {
    const text = "a: \u001b[2J\u202e\u0007"
    const [diagnostic] = locate([finding(3, 4)], { file: "x", text })
    expect(diagnostic!.frame).toContain("a: ?[2J??")
  })

  it("say the rest as a number", () => {
    const text = "x".repeat(100)
    const many = locate(
      Array.from({ length: 60 }, (_, i) => finding(i, i + 1)),
      { file: "x", text }
    )
    expect(renderDiagnostics(many)).toMatch(/and 10 more$/)
  })

  it("say where in words where there is no text", () => {
    const [diagnostic] = locate([
      { code: "V110", message: "missing input", at: "node itm, in.text", label: "ITM needs text" }
    ])
    expect(renderDiagnostics([diagnostic!])).toBe("error[V110] missing input  node itm, in.text\n    | ITM needs text")
  })
})
