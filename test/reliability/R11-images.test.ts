/**
 * R11: odd images come in through ReadPairs, each between two good rows.
 *
 * Each gives Pillow's pixels, or one rejected row with its reason; the rows around it keep their order and number. Where the node
 * says `stop`, the run ends at the odd row and names it. odd_images.py makes the corpus and what is expected.
 */
import { ArtifactStore, columnOf, decodeImage, decodeShard, imagesOf, sha256, textsOf } from "@bootlace/data"
import type { NodeError, RunRecord } from "@bootlace/graph"
import { makeReportStore } from "@bootlace/report"
import { openStoredRows, Progress, runPlan } from "@bootlace/runtime"
import { Effect, Layer, Logger } from "effect"
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { planOf } from "../../packages/bootlace/src/LoadPipeline.ts"
import { storeLayer } from "../../packages/bootlace/src/Machinery.ts"
import { emptyFolder } from "../bootlace.ts"
import { figure } from "./torture.ts"

interface Rejected {
  readonly code: string
  readonly reason: string
}
/** `sha256` where the format keeps every bit, `pixels` (base64) where decoders may differ by two grey levels. */
interface Pixels {
  readonly width: number
  readonly height: number
  readonly sha256?: string
  readonly pixels?: string
}
const here = new URL("./", import.meta.url).pathname
const cases: Readonly<Record<string, Rejected | Pixels>> = JSON.parse(readFileSync(`${here}odd-images.json`, "utf8"))
const names = Object.keys(cases)
const isRejected = (expected: Rejected | Pixels): expected is Rejected => "code" in expected
const refused = names.filter((name) => isRejected(cases[name]!))
const welcome = names.filter((name) => !isRejected(cases[name]!))

/** A folder in which each odd image stands after a good one, and a good one at the end. */
const project = (odd: ReadonlyArray<string>): string => {
  const folder = emptyFolder()
  mkdirSync(join(folder, "pairs"))
  cpSync(join(here, "odd-images"), join(folder, "pairs"), { recursive: true })
  const files = [...odd.flatMap((name) => ["rgb.png", name]), "rgb.png"]
  const lines = files.map((file_name, row) => JSON.stringify({ file_name, text: `row ${row}` }))
  writeFileSync(join(folder, "pairs", "metadata.jsonl"), lines.join("\n"))
  return folder
}

const services = (folder: string) => Layer.mergeAll(storeLayer(join(folder, "store")), Progress.layer, Logger.layer([]))

const runPairs = Effect.fnUntraced(function* (directory: string, action: "reject" | "stop") {
  const text = `version: 1
name: odd
seed: 1
nodes:
  pairs: { op: ReadPairs, path: pairs, on_bad_row: { action: ${action}, budget: 1 } }
  kept:  { op: WriteShards, in: { image: pairs.image, text: pairs.text }, format: arrow }
`
  const { plan } = yield* planOf({
    file: join(directory, "odd.yaml"),
    text,
    set: [],
    seed: undefined,
    only: [],
    noConfig: true
  })
  return yield* runPlan(plan, { directory, numerics: "none", engine: "none" })
})

const storedPairs = Effect.fnUntraced(function* (record: RunRecord) {
  const store = yield* ArtifactStore
  const stored = record.rows.find(({ node }) => node === "pairs")!
  const open = (rows: typeof stored, columns: ReadonlyArray<string>) =>
    Effect.provideService(openStoredRows(rows, columns), ArtifactStore, store)
  const kept = yield* store.open(record.artifacts.find(({ node }) => node === "kept")!.key)
  const batch = decodeShard(yield* kept!.read("train-00000.arrow"), "train-00000.arrow")[0]!
  const rejected = yield* makeReportStore(store, open).lines(stored.keys, "rejected.jsonl")
  return { texts: textsOf(columnOf(batch, "text")), images: imagesOf(columnOf(batch, "image")), rejected }
})

const checkPixels = Effect.fnUntraced(function* (name: string, bytes: Uint8Array) {
  const expected = cases[name] as Pixels
  const { width, height, data } = yield* decodeImage(bytes)
  assert.deepStrictEqual([width, height], [expected.width, expected.height], name)
  if (expected.sha256 !== undefined) return assert.strictEqual(sha256(data), expected.sha256, name)
  const pixels = Buffer.from(expected.pixels!, "base64")
  assert.strictEqual(data.length, pixels.length, name)
  assert.isAtMost(Math.max(...pixels.map((value, i) => Math.abs(value - data[i]!))), 2, name)
})

describe("odd images", () => {
  it(`R11: ${names.length} files are Pillow's pixels or one rejected row each`, async () => {
    assert.isAtLeast(names.length, 40)
    const folder = project(names)
    const program = Effect.gen(function* () {
      const record = yield* runPairs(folder, "reject")
      const { texts, images, rejected } = yield* storedPairs(record)
      const rows = Array.from({ length: 2 * names.length + 1 }, (_, row) => row)
      const isKept = (row: number): boolean => row % 2 === 0 || !isRejected(cases[names[(row - 1) / 2]!]!)
      const kept = rows.filter(isKept)
      assert.deepStrictEqual(
        rejected.map(({ row, code, reason }) => ({ row, code, reason })),
        rows.filter((row) => !isKept(row)).map((row) => ({ row, ...(cases[names[(row - 1) / 2]!] as Rejected) }))
      )
      assert.deepStrictEqual(
        texts,
        kept.map((row) => `row ${row}`)
      )
      for (const [i, row] of kept.entries())
        if (row % 2 === 1) yield* checkPixels(names[(row - 1) / 2]!, images[i]!.bytes)
      assert.include(record.nodes["pairs"], { rows_in: rows.length, rows_out: kept.length })
    })
    await Effect.runPromise(Effect.provide(program, services(folder)))
    figure(
      "R11",
      `${names.length} odd images: ${welcome.length} decode as in Pillow, ${refused.length} rejected with a reason`
    )
  })

  it.each(refused)("R11: a run that stops at bad rows stops at %s", async (name) => {
    const folder = project([name])
    const stopped = runPairs(folder, "stop").pipe(Effect.flip, Effect.provide(services(folder)))
    const { code, node, row, message } = (await Effect.runPromise(stopped)) as NodeError
    assert.deepStrictEqual({ code, node, row }, { code: "R233", node: "pairs", row: 1 })
    assert.include(message, (cases[name] as Rejected).reason)
  })

  it("R11: a run that stops at bad rows passes by the images that are only odd", async () => {
    const folder = project(welcome)
    const record = await Effect.runPromise(Effect.provide(runPairs(folder, "stop"), services(folder)))
    assert.include(record.nodes["pairs"], { rows_out: 2 * welcome.length + 1, rejected: 0 })
  })
})
