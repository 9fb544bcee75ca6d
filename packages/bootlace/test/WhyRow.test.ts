import { execFileSync, spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rowIdHex, rowIdsOf } from "@bootlace/data"
import { openStoredRows } from "@bootlace/runtime"
import { Effect } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { findRun } from "../src/FindRun.ts"
import { storeLayer } from "../src/Machinery.ts"
import { rowHistories } from "../src/RowHistory.ts"

const root = join(import.meta.dirname, "..", "..", "..")
const bin = join(root, "packages", "bootlace", "bin", "bootlace.js")
const folder = mkdtempSync(join(tmpdir(), "bootlace-why-"))
const store = join(folder, "store")

const pipeline = `version: 1
name: ways
seed: 1
nodes:
  pairs: { op: ReadPairs, path: shapes, on_bad_row: { budget: 1 } }
  red: { op: Filter, in: { text: pairs.text }, keep: { text: { equals: a red circle } } }
  vocabulary: { op: BuildVocabulary, in: { text: red.kept.text } }
`
const inStore = <A, E>(effect: Effect.Effect<A, E, any>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, storeLayer(store)) as Effect.Effect<A, E>)
const record = () => inStore(findRun(store, "latest"))
const histories = (beginning: string) =>
  inStore(Effect.flatMap(findRun(store, "latest"), (found) => rowHistories(found, beginning)))

/** All ids of a port. */
const idsOf = async (node: string, port: string): Promise<ReadonlyArray<string>> => {
  const stored = (await record()).rows.find((each) => each.node === node && each.port === port)!
  const batch = await inStore(Effect.flatMap(openStoredRows(stored, []), (table) => table.rows()))
  const ids = rowIdsOf(batch)
  return Array.from({ length: batch.numRows }, (_, row) => rowIdHex(ids, row))
}

beforeAll(() => {
  cpSync(join(root, "pipelines", "micro", "shapes", "human"), join(folder, "shapes"), { recursive: true })
  writeFileSync(join(folder, "shapes", "001.png"), "no image")
  writeFileSync(join(folder, "ways.yaml"), pipeline)
  execFileSync(process.execPath, [bin, "run", "ways.yaml", "--store", store], { cwd: folder, stdio: "pipe" })
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("why-row", () => {
  it("follows a kept row to what reads it", async () => {
    const [kept] = await idsOf("red", "kept")
    const [row] = await histories(kept!)
    assert.strictEqual(row!.row_id, kept)
    assert.deepStrictEqual(
      row!.places.map(({ node, port, reason, readers }) => ({ node, port, reason, readers })),
      [
        { node: "pairs", port: "pairs", reason: undefined, readers: ["red"] },
        { node: "red", port: "kept", reason: undefined, readers: ["vocabulary"] }
      ]
    )
    assert.strictEqual(row!.places[1]!.values["text"], "a red circle")
  })

  it("says why a row was dropped, for each of them", async () => {
    const dropped = await idsOf("red", "rejected")
    assert.isAbove(dropped.length, 20)
    for (const id of dropped) {
      const [row] = await histories(id)
      const place = row!.places.find(({ node }) => node === "red")!
      assert.strictEqual(place.port, "rejected")
      assert.match(place.reason!, /^text ".*" is not "a red circle"$/)
    }
  })

  it("tells of a row that couldn't be read, and names what begins alike", async () => {
    const all = (await Promise.all([..."0123456789abcdef"].map(histories))).flat()
    const aside = all.filter(({ places }) => places.some(({ port }) => port === undefined))
    assert.lengthOf(aside, 1)
    assert.match(aside[0]!.places[0]!.reason!, /^R\d+ .*image/)
    assert.lengthOf(all, 24)
    const bytes = aside[0]!.places[0]!.bytes!
    assert.match(bytes.shard, /^[0-9a-f]{64}$/)
    assert.strictEqual(bytes.row, 1)
    const { stdout, status } = spawnSync(process.execPath, [bin, "why-row", aside[0]!.row_id, "--store", store], {
      cwd: folder,
      encoding: "utf8"
    })
    assert.strictEqual(status, 0)
    assert.match(
      stdout,
      /^row [0-9a-f]{32} in run .*\npairs put it aside\n {2}because: R.*\n {2}its file: shapes\/001\.png\n {2}its bytes: row 1 of shard [0-9a-f]{64}\n/
    )
  })

  it("names the file of a kept row while the input is there as it was, and no file of an input that changed", async () => {
    const [, second] = await idsOf("pairs", "pairs")
    const whyRow = () => spawnSync(process.execPath, args, { cwd: folder, encoding: "utf8" }).stdout
    const args = [bin, "why-row", second!, "--store", store]
    // Row 1 was rejected, so the second that was kept is row 2.
    assert.match(whyRow(), /^row .*\npairs\.pairs\n {2}its file: shapes\/002\.png\n/)
    assert.deepStrictEqual(
      (
        JSON.parse(spawnSync(process.execPath, [...args, "--json"], { cwd: folder, encoding: "utf8" }).stdout) as {
          readonly places: ReadonlyArray<{ readonly file?: string }>
        }
      ).places.map(({ file }) => file),
      ["shapes/002.png", undefined]
    )
    const image = join(folder, "shapes", "000.png")
    const bytes = readFileSync(image)
    cpSync(join(folder, "shapes", "003.png"), image)
    assert.notInclude(whyRow(), "its file")
    writeFileSync(image, bytes)
  })

  it.each([
    ["xyz", /xyz is no row id: expected 4 to 32 hex digits/],
    ["0".repeat(32), /has no row whose id begins with 0{32}/]
  ])("refuses %s", (id, words) => {
    const { stderr, status } = spawnSync(process.execPath, [bin, "why-row", id, "--store", store], { encoding: "utf8" })
    assert.strictEqual(status, 2)
    assert.match(stderr, words)
  })
})
