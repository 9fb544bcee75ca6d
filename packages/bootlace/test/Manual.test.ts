/**
 * docs/yaml.md and README.md say what is true: their files are right by the operators that there are, the
 * manual's TypeScript is a file of this folder, its limits are the limits.
 */
import { Effect } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { yamlLimits } from "../../graph/src/yaml/ReadTree.ts"
import { readPipeline } from "../src/graph.ts"
import { operators as registry } from "../src/operators.ts"
import { plan } from "./sideBySide.ts"

const page = (file: string): string => readFileSync(join(import.meta.dirname, "../../..", file), "utf8")
const manual = page("docs/yaml.md")
const blocks = (text: string, language: string): ReadonlyArray<string> =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, block]) => block!)
const files = [page("pipelines/capfilt-paper.yaml"), ...blocks(page("README.md"), "yaml"), ...blocks(manual, "yaml")]
const read = (text: string) => Effect.runSync(readPipeline(text, { file: "docs/yaml.md", registry }))

const withoutImports = (text: string): string => text.slice(text.indexOf("\n\n")).trim()

describe("the manual", () => {
  it.each(files.map((text) => [/name: (.*)/.exec(text)![1]!, text]))("%s is a pipeline", (_, text) => {
    expect(read(text).nodes.length).toBeGreaterThan(1)
  })

  it("has one pipeline in both spellings", () => {
    const [code] = blocks(manual, "ts")
    expect(withoutImports(code!)).toBe(withoutImports(readFileSync(join(import.meta.dirname, "sideBySide.ts"), "utf8")))
    expect(Effect.runSync(plan).hash).toBe(read(files.at(-1)!).hash)
  })

  it("names the limits", () => {
    expect(manual).toContain(`${yamlLimits.bytes / 1024} KiB, ${yamlLimits.depth} levels`)
    expect(manual).toContain(
      `${yamlLimits.values.toLocaleString("en")} keys and values, and ${yamlLimits.nodes.toLocaleString("en")} nodes`
    )
  })
})
