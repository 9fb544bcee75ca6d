/** What a command loads: reading a pipeline needs what operators say of themselves, and nothing that computes. */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const folder = mkdtempSync(join(tmpdir(), "bootlace-loading-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Writes down the address of every module that is loaded. */
const hook = join(folder, "hook.mjs")
const list = join(folder, "loaded.txt")
writeFileSync(
  hook,
  `import { registerHooks } from "node:module"
import { appendFileSync } from "node:fs"
registerHooks({
  load: (url, context, next) => {
    appendFileSync(${JSON.stringify(list)}, url + "\\n")
    return next(url, context)
  }
})
`
)

/** Paths from the checkout's root on. */
const loadedBy = (...args: ReadonlyArray<string>): ReadonlyArray<string> => {
  writeFileSync(list, "")
  const { status, stderr } = spawnSync(process.execPath, ["--import", hook, bin, ...args], {
    cwd: root,
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(stderr)
  const files = readFileSync(list, "utf8").split("\n")
  return files.flatMap((url) => {
    const path = url.split(/\/(?=(?:node_modules|packages)\/)/).at(-1)!
    return /^(?:node_modules|packages)\//.test(path) ? [path] : []
  })
}

const heavy =
  /^packages\/(?:engine|runtime|report)\/|^packages\/operators\/src\/(?:bodies|metrics|rerank)\/|^node_modules\/(?:apache-arrow|sharp|hyparquet|onnxruntime-node|@tensorflow)\/|^node_modules\/effect\/dist\/index\.js$/

/** The rooms that have light parts, and these parts. */
const light: ReadonlyArray<string> = [
  "packages/data/src/DataError.ts",
  "packages/data/src/ShardSize.ts",
  "packages/data/src/limits.ts",
  "packages/models/src/Config.ts",
  "packages/models/src/ConfigSection.ts",
  "packages/models/src/Presets.ts",
  "packages/models/src/text/SpecialTokens.ts"
]

describe("a command that only reads", () => {
  it.each([
    ["check", ["check", "--no-config", "pipelines/micro/capfilt.yaml"]],
    ["ops", ["ops", "--no-config", "Train"]],
    ["schema", ["schema", "--no-config"]]
  ] as const)("%s loads every operator and nothing of what it computes", (_, args) => {
    const loaded = loadedBy(...args)
    expect(loaded).toContain("packages/operators/src/Train.ts")
    expect(loaded).toContain("packages/graph/src/ReadPipeline.ts")
    expect(loaded.filter((path) => heavy.test(path))).toEqual([])
    const partly = loaded.filter((path) => /^packages\/(?:data|models)\/src\/.*\.ts$/.test(path))
    expect(partly.toSorted()).toEqual(light)
  })

  it("--help loads one text", () => {
    expect(loadedBy("--help").filter((path) => path.startsWith("packages/bootlace/src/"))).toEqual([
      "packages/bootlace/src/main.ts",
      "packages/bootlace/src/cli/HelpText.ts"
    ])
  })

  it("a command that opens a node loads what the others don't", () => {
    const loaded = loadedBy("plan", "--no-config", "--store", join(folder, "store"), "pipelines/micro/clip.yaml")
    expect(loaded).toContain("packages/operators/src/bodies/ReadPairs.ts")
    expect(loaded.some((path) => heavy.test(path) && path.startsWith("node_modules/apache-arrow/"))).toBe(true)
  })
})
