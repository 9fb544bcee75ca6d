/** What people see of a run that an earlier process left unfinished. The store is put into the state in which `kill -9` leaves it. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { DatabaseSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "vitest"
import { resumedText } from "../src/RunAndShow.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const folder = mkdtempSync(join(tmpdir(), "bootlace-resume-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const pipeline = `version: 1
name: resumed
seed: 1
nodes:
  pairs: { op: ReadPairs, path: ${join(root, "pipelines", "micro", "shapes", "human")} }
  words: { op: BuildVocabulary, in: { text: pairs.text }, vocab_size: 100 }
`
const bootlace = (...args: ReadonlyArray<string>) =>
  spawnSync(process.execPath, [bin, ...args], { cwd: folder, encoding: "utf8" })

const run = () => {
  const { status, stdout, stderr } = bootlace("run", "resumed.yaml", "--json")
  assert.strictEqual(status, 0, stderr)
  return { stderr, ...(JSON.parse(stdout) as { readonly run: string; readonly nodes: unknown }) }
}

describe("a run that goes on", () => {
  it("says which attempt it is and what was interrupted; why shows the tries", () => {
    writeFileSync(join(folder, "resumed.yaml"), pipeline)
    const first = run()
    assert.notInclude(first.stderr, "goes on")
    assert.notMatch(first.stderr, /sqlite|Warning/i)
    const store = join(folder, ".bootlace")
    const record = join(store, "runs", first.run, "run.json")
    writeFileSync(record, readFileSync(record, "utf8").replace(`"status": "done"`, `"status": "running"`))
    const database = new DatabaseSync(join(store, "orchestration.sqlite"))
    database.exec("UPDATE tries SET status = 'started', ended = NULL, result = NULL WHERE nodes = '[\"words\"]'")
    database.close()
    const second = run()
    assert.strictEqual(second.run, first.run)
    assert.include(second.stderr, `run ${first.run} goes on: attempt 2, 1 task done; words was interrupted\n`)
    assert.match(bootlace("why", "words").stdout, /\ntries of words: interrupted \(.{16}\), done \(.{16}\)\n/)
    assert.notInclude(bootlace("why", "pairs").stdout, "tries")
    const { tries } = JSON.parse(bootlace("why", "pairs", "--json").stdout) as {
      readonly tries: ReadonlyArray<{ readonly status: string }>
    }
    assert.deepStrictEqual(
      tries.map(({ status }) => status),
      ["done"]
    )
  })

  it("no command but run makes a database", () => {
    const store = join(folder, ".bootlace")
    for (const name of ["", "-wal", "-shm"]) rmSync(join(store, `orchestration.sqlite${name}`), { force: true })
    assert.strictEqual(bootlace("plan", "resumed.yaml").status, 0)
    assert.strictEqual(bootlace("why", "words").status, 0)
    assert.isFalse(existsSync(join(store, "orchestration.sqlite")))
  })
})

describe("resumedText", () => {
  it("names what is to be done again", () => {
    const open = [
      { task: "pretrain", nodes: ["pretrain"], status: "interrupted", tries: 2 },
      { task: "a b over x 0", nodes: ["a", "b"], status: "interrupted", tries: 1 },
      { task: "a b c over x 1", nodes: ["a", "b", "c"], status: "failed", tries: 1 }
    ] as const
    const done = new Map([["w x over y 0", { nodes: ["w", "x"], keys: [] }]])
    assert.strictEqual(
      resumedText("1ngap8e-x3na", { attempt: 3, done, open }),
      "run 1ngap8e-x3na goes on: attempt 3, 2 tasks done; pretrain was interrupted, 2 tries so far; a and b were interrupted; a and 2 others failed"
    )
    assert.strictEqual(
      resumedText("1ngap8e-x3na", { attempt: 1, done: new Map(), open: [] }),
      "run 1ngap8e-x3na goes on"
    )
  })
})
