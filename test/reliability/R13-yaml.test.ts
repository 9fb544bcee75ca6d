/**
 * R13: YAML made to mislead or to take long: bombs, depth, size, tags, prototypes, duplicates, NUL, cycles.
 *
 * Each ends as exit 2 with file:line:col before any work, fast, and Object.prototype is what it was. The cases are those of
 * packages/graph/test/cases, where a new case is a new file, and files too large to keep.
 */
import { readPipeline } from "@bootlace/graph"
import { Effect, Result } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { operators as registry } from "../../packages/graph/test/operators.ts"
import { exitCodeOf, failureText } from "../../packages/bootlace/src/Failure.ts"
import { root } from "../bootlace.ts"
import { figure } from "./torture.ts"

const folder = join(root, "packages/graph/test/cases")
const H = "version: 1\nname: case\n"

/** Text, and what its error says. */
const large: ReadonlyArray<readonly [name: string, text: string, said: string]> = [
  ["1 MiB", `${H}nodes: {}\n# ${"x".repeat(1_048_576)}`, "at most 256 KiB"],
  ["brackets 10,000 deep", `${H}nodes: ${"[".repeat(10_000)}${"]".repeat(10_000)}`, "more than 32 levels"],
  ["braces without end", `${H}nodes: ${"{a: ".repeat(60_000)}`, "more than 32 levels"],
  ["a list in a list in a list", `${H}nodes:\n  ${"- ".repeat(100_000)}`, "more than 32 levels"],
  [
    "indented 1,000 deep",
    Array.from({ length: 700 }, (_, i) => `${" ".repeat(i)}a:`).join("\n"),
    "more than 32 levels"
  ],
  [
    "20,000 keys",
    `${H}nodes:\n${Array.from({ length: 20_000 }, (_, i) => `  k${i}: 1`).join("\n")}`,
    "more than 20000 keys and values"
  ],
  ["the same key 9,000 times", `${H}params:\n${"  a: 1\n".repeat(9_000)}`, "a already stands in line 4"],
  [
    "4,500 keys twice",
    `${H}params:\n${Array.from({ length: 9_000 }, (_, i) => `  k${i % 4_500}: 1`).join("\n")}`,
    "k0 already stands in line 4"
  ],
  ["anchors only", "&a ".repeat(80_000), "anchors"],
  ["60,000 documents", "---\n".repeat(60_000), "one document"],
  ["one quote", `"${"x".repeat(250_000)}`, "not YAML"],
  ["question marks", "? ".repeat(100_000), "more than 32 levels"]
]

const cases = [
  ...readdirSync(folder)
    .filter((name) => name.endsWith(".yaml"))
    .map((name) => [name, readFileSync(join(folder, name), "utf8"), "error[V"] as const),
  ...large
]

/** Milliseconds of this thread's processor time: what it takes on an idle core. The test itself allows ten times that. */
const promised_ms = 200

const read = (file: string, text: string) => {
  const before = process.threadCpuUsage()
  const result = Effect.runSync(Effect.result(readPipeline(text, { file, registry })))
  const { user, system } = process.threadCpuUsage(before)
  return { result, took: (user + system) / 1000 }
}

describe("hostile YAML", () => {
  it("R13: each is refused with exit 2 and a place, in time", () => {
    const before = Reflect.ownKeys(Object.prototype)
    assert.isAtLeast(cases.length, 40)
    // The first call pays for loading and compiling the reader.
    read("first.yaml", H)
    let slowest = { name: "", took: 0 }
    let inTime = 0
    for (const [name, text, said] of cases) {
      const file = name.endsWith(".yaml") ? name : "large.yaml"
      const { result, took } = read(file, text)
      assert.isTrue(Result.isFailure(result), name)
      if (Result.isSuccess(result)) continue
      assert.strictEqual(exitCodeOf(result.failure), 2, name)
      const message = failureText(result.failure)
      assert.match(message, /^error\[V\d{3}\] .*\.yaml:\d+:\d+/m, name)
      assert.include(message, said, name)
      assert.isBelow(took, promised_ms * 10, name)
      if (took < promised_ms) inTime += 1
      if (took > slowest.took) slowest = { name, took }
    }
    assert.deepEqual(Reflect.ownKeys(Object.prototype), before)
    assert.isUndefined((Object.prototype as Record<string, unknown>)["polluted"])
    const slow = `${slowest.took.toFixed(0)} ms (${slowest.name})`
    figure(
      "R13",
      `${cases.length} of ${cases.length} files refused with exit 2 and file:line:col; ${inTime} in less than ${promised_ms} ms of processor time, the slowest in ${slow}`
    )
  })
})
