/** docs/yaml.md says what is true: its files are right, its TypeScript is a file of this folder, its limits are the limits. */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { readPipeline } from "../src/index.ts"
import { yamlLimits } from "../src/yaml/ReadTree.ts"
import { operators as registry } from "./operators.ts"
import { plan } from "./sideBySide.ts"

const manual = readFileSync(join(import.meta.dirname, "../../../docs/yaml.md"), "utf8")
const blocks = (language: string): ReadonlyArray<string> =>
  [...manual.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, text]) => text!)
const read = (text: string) => Effect.runSync(readPipeline(text, { file: "docs/yaml.md", registry }))

const withoutImports = (text: string): string =>
  text
    .split("\n")
    .filter((line) => !line.startsWith("import "))
    .join("\n")
    .trim()

describe("the manual", () => {
  it.each(blocks("yaml").map((text) => [/name: (.*)/.exec(text)![1]!, text]))("%s is a pipeline", (_, text) => {
    expect(read(text).nodes.length).toBeGreaterThan(1)
  })

  it("has one pipeline in both spellings", () => {
    const [code] = blocks("ts")
    expect(withoutImports(code!)).toBe(withoutImports(readFileSync(join(import.meta.dirname, "sideBySide.ts"), "utf8")))
    expect(Effect.runSync(plan).hash).toBe(read(blocks("yaml").at(-1)!).hash)
  })

  it("names the limits", () => {
    expect(manual).toContain(`${yamlLimits.bytes / 1024} KiB, ${yamlLimits.depth} levels`)
    expect(manual).toContain(
      `${yamlLimits.values.toLocaleString("en")} keys and values, and ${yamlLimits.nodes.toLocaleString("en")} nodes`
    )
  })
})
