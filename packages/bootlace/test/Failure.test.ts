import { Diagnostics, NodeError } from "@bootlace/graph"
import { assert, describe, it } from "vitest"
import { exitCodeOf, Failure, failureText, usage } from "../src/Failure.ts"
import { commandLine, quoted } from "../src/Typed.ts"

describe("Failure", () => {
  it("gives every kind of failure its exit code", () => {
    const node = new NodeError({ code: "R201", node: "a", detail: "x" })
    const wrong = new Diagnostics({ diagnostics: [{ code: "V104", message: "unknown column" }] })
    const codes = [usage("x"), wrong, node, new Error("x"), "x", new Failure({ exit: 3, message: "x" })].map(exitCodeOf)
    assert.deepStrictEqual(codes, [2, 2, 1, 1, 1, 3])
  })

  it("ends with the command to resume", () => {
    const failure = new Failure({ exit: 1, message: "error[R403] disk full", resume: "npx bootlace run a.yaml" })
    assert.strictEqual(failureText(failure), "error[R403] disk full\nresume: npx bootlace run a.yaml")
  })

  it("quotes what a shell would take apart", () => {
    assert.deepStrictEqual(["a.yaml", "data=none,both", "a b", "it's", "$(x)", ""].map(quoted), [
      "a.yaml",
      "data=none,both",
      "'a b'",
      `'it'\\''s'`,
      "'$(x)'",
      "''"
    ])
    assert.strictEqual(commandLine(["run", "my file.yaml"]), "npx bootlace run 'my file.yaml'")
  })
})
