import { execFileSync, spawnSync } from "node:child_process"
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const folder = mkdtempSync(join(tmpdir(), "bootlace-lock-"))
const bootlace = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: "utf8" })

const pipeline = `version: 1
name: locked
seed: 1
params:
  steps: { type: int, default: 9 }
models:
  clip: { architecture: clip, preset: nano, vocabulary: vocabulary }
nodes:
  pairs: { op: ReadPairs, path: shapes }
  vocabulary: { op: BuildVocabulary, in: { text: pairs.text } }
  train: { op: Train, init: clip, in: { pairs: pairs.pairs }, objectives: [itc], batch_size: 8, steps: "\${steps}" }
  image: { op: ImageEncoder, model: train.model, in: { image: pairs.image } }
`

let lock = ""
beforeAll(() => {
  cpSync(join(root, "pipelines", "micro", "shapes", "human"), join(folder, "shapes"), { recursive: true })
  writeFileSync(join(folder, "locked.yaml"), pipeline)
  const settings = ["--threads", "1", "--seed", "4", "--set", "steps=2", "--json"]
  const ran = execFileSync(process.execPath, [bin, "run", "locked.yaml", ...settings], { cwd: folder, stdio: "pipe" })
  const { run } = JSON.parse(ran.toString()) as { readonly run: string }
  lock = join(".bootlace", "runs", run, "run.lock")
  // What is replayed is the lock's text, not the file as it is now.
  writeFileSync(join(folder, "locked.yaml"), "version: 1\n")
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("reproduce", () => {
  it("gives the same bytes out of the lock alone, with its params, seed and threads", () => {
    const { status, stdout, stderr } = bootlace("reproduce", lock)
    assert.strictEqual(status, 0, stderr)
    assert.match(stdout, /^5 of 5 nodes gave the locked bytes/)
    assert.notInclude(stderr, "not as in the lock")
    const {
      pipeline: told,
      threads,
      dependencies
    } = JSON.parse(readFileSync(join(folder, lock), "utf8")) as {
      readonly pipeline: { readonly set: ReadonlyArray<string>; readonly seed: number }
      readonly threads: number
      readonly dependencies: Readonly<Record<string, string>>
    }
    assert.deepStrictEqual([told.set, told.seed, threads], [["steps=2"], 4, 1])
    // As npm's own lock file has them.
    const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
      readonly packages: Readonly<Record<string, { readonly version: string }>>
    }
    for (const name of ["effect", "@tensorflow/tfjs-core", "onnxruntime-node", "sharp", "apache-arrow"])
      assert.strictEqual(dependencies[name], packages[`node_modules/${name}`]!.version, name)
  })

  it("refuses a store that is there, whose results it would only repeat", () => {
    const { status, stderr } = bootlace("reproduce", lock, "--store", ".bootlace")
    assert.strictEqual(status, 2)
    assert.match(stderr, /\.bootlace is there already/)
  })

  it("names the node where the bytes part, and what changed", () => {
    copyFileSync(join(folder, "shapes", "000.png"), join(folder, "shapes", "001.png"))
    const changed = bootlace("reproduce", lock, "--store", "changed")
    assert.strictEqual(changed.status, 1)
    assert.match(
      changed.stderr,
      /error: other bytes, first at\n.*\n.*\npairs +[0-9a-f]{12} +[0-9a-f]{12}\nhint: .*the data must have changed/
    )
    const text = readFileSync(join(folder, lock), "utf8")
      .replace(/"numerics": ".*"/, '"numerics": "another engine"')
      .replace(/"node": ".*"/, '"node": "1.2.3"')
      .replace(/"sharp": ".*"/, '"sharp": "0.1.0"')
    writeFileSync(join(folder, "other.lock"), text)
    const other = bootlace("reproduce", "other.lock", "--store", "other", "--json")
    // Said before anything runs.
    assert.match(
      other.stderr,
      /^not as in the lock, so bytes may differ:\n {2}engine: .*\n {2}Node: .*\n {2}sharp: 0\.1\.0 then, /
    )
    const { reasons, equal } = JSON.parse(other.stdout) as {
      readonly reasons: ReadonlyArray<string>
      readonly equal: boolean
    }
    assert.isFalse(equal)
    assert.lengthOf(reasons, 3)
    assert.match(reasons[0]!, /^engine: another engine then, onnx.* now$/)
    assert.strictEqual(reasons[1], `Node: 1.2.3 then, ${process.versions.node} now`)
  })

  it.each([
    ["missing.lock", undefined, /missing\.lock not readable/],
    ["text.lock", "no json", /text\.lock is no run\.lock/],
    ["empty.lock", "{}", /empty\.lock is no run\.lock/]
  ])("refuses %s", (name, text, words) => {
    if (text !== undefined) writeFileSync(join(folder, name), text)
    const { status, stderr } = bootlace("reproduce", name, "--store", "never")
    assert.strictEqual(status, 2)
    assert.match(stderr, words)
  })
})
