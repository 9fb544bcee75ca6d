import { execFileSync, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const shapes = join(root, "pipelines", "micro", "shapes", "human")
const folder = mkdtempSync(join(tmpdir(), "bootlace-compare-"))

const pipeline = `version: 1
name: kept
seed: 1
params:
  colour: { type: string, default: a red circle }
nodes:
  pairs: { op: ReadPairs, path: ${shapes} }
  chosen: { op: Filter, in: { text: pairs.text }, keep: { text: { equals: "\${colour}" } } }
`
const bootlace = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: "utf8" })
const run = (...args: ReadonlyArray<string>): string =>
  (
    JSON.parse(
      execFileSync(process.execPath, [bin, "run", "kept.yaml", "--json", ...args], { cwd: folder }).toString()
    ) as {
      readonly run: string
    }
  ).run

let red = ""
let blue = ""
beforeAll(() => {
  writeFileSync(join(folder, "kept.yaml"), pipeline)
  red = run()
  blue = run("--set", "colour=a blue square")
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("compare", () => {
  it("counts the rows that only one of the runs has", () => {
    const { rows } = JSON.parse(bootlace("compare", red, blue, "--json").stdout) as {
      readonly rows: ReadonlyArray<
        Readonly<Record<"node" | "port", string> & Record<"a" | "b" | "added" | "removed", number>>
      >
    }
    const of = (port: string) => rows.find((each) => each.node === "chosen" && each.port === port)!
    const [kept, rejected] = [of("kept"), of("rejected")]
    assert.isAbove(kept.a, 0)
    assert.isAbove(kept.b, 0)
    assert.deepStrictEqual([kept.removed, kept.added], [kept.a, kept.b])
    assert.deepStrictEqual([rejected.added, rejected.removed], [kept.a, kept.b])
    const pairs = rows.find(({ node }) => node === "pairs")!
    assert.deepStrictEqual([pairs.added, pairs.removed], [0, 0])
  })

  it("says so in words, and of equal runs that they are", () => {
    const { stdout } = bootlace("compare", red, blue)
    assert.match(stdout, new RegExp(`^A {2}${red} .*\\nB {2}${blue} `))
    assert.match(stdout, /chosen\.kept/)
    assert.match(stdout, /1 of 3 row sets have the same rows/)
    // Both keep 2 of 24 rows, if not the same.
    assert.match(stdout, /\nchosen +91\.7 % +91\.7 % +equal *\n/)
    assert.match(bootlace("compare", red, red).stdout, /3 of 3 row sets have the same rows/)
  })

  it("names the runs there are when one isn't", () => {
    const { status, stderr } = bootlace("compare", red, "zzz")
    assert.strictEqual(status, 2)
    assert.match(stderr, new RegExp(`no run zzz\\nhint: runs here: .*${blue}`))
  })
})

describe("why", () => {
  it("names what changed since the run before, and what stayed", () => {
    const changed = bootlace("why", "chosen", "--run", blue).stdout
    assert.match(changed, new RegExp(`^chosen {2}Filter {2}computed in .*, run ${blue}\n`))
    assert.include(changed, `because: since run ${red}: config.keep.text.equals "a red circle" -> "a blue square"`)
    const same = bootlace("why", "pairs", "--run", blue).stdout
    assert.match(same, /^pairs {2}ReadPairs {2}cached/)
    assert.include(same, `because: as in run ${red}`)
    assert.include(bootlace("why", "pairs", "--run", red).stdout, "because: first run of it")
  })

  it("gives the key as an object", () => {
    const { key, op, cached, why } = JSON.parse(bootlace("why", "chosen", "--run", red, "--json").stdout) as {
      readonly key: { readonly operator: string; readonly config: unknown }
      readonly op: string
      readonly cached: boolean
      readonly why: ReadonlyArray<string>
    }
    assert.deepStrictEqual([key.operator, op, cached, why], ["Filter", "Filter", false, ["first run of it"]])
    assert.deepInclude(key.config, { keep: { text: { equals: "a red circle" } } })
  })

  it("knows a misspelt node", () => {
    const { status, stderr } = bootlace("why", "choosen", "--run", red)
    assert.strictEqual(status, 2)
    assert.match(stderr, /has no node choosen\nhint: did you mean chosen\?/)
  })
})
