import {
  Files,
  decodeShard,
  flagColumn,
  imageColumn,
  openPairs,
  scoreColumn,
  textColumn,
  textsOf
} from "@bootlace/data"
import { Effect, Stream } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { WriteShards } from "../src/WriteShards.ts"
import { operatorContract } from "./contract.ts"
import { rowsOf, runFold, runIn } from "./inMemory.ts"

const shapes = join(import.meta.dirname, "../../../pipelines/micro/shapes/human")
const folder = mkdtempSync(join(tmpdir(), "write-shards-"))
afterAll(() => rmSync(folder, { recursive: true }))

const image = (name: string) => ({ bytes: new Uint8Array(readFileSync(join(shapes, name))), path: name })
const columns = {
  image: imageColumn([image("000.png"), image("001.png"), null, image("003.png"), image("004.png")]),
  text: textColumn(["one", "two", "three", null, "five"]),
  itc_score: scoreColumn(Float32Array.of(0.1, 0.2, 0.3, 0.4, 0.5)),
  matched: flagColumn([true, false, true, false, true])
}

for (const format of ["parquet", "arrow"])
  operatorContract(WriteShards, {
    config: { format, rows_per_shard: 2 },
    columns,
    badConfigs: [
      { config: { format: "tar" }, names: /parquet/ },
      { config: { rows_per_shard: 0 }, names: /rows_per_shard/ }
    ]
  })

describe("WriteShards", () => {
  it("writes full shards and a card that names files, rows and features", async () => {
    const given = { config: { rows_per_shard: 2, license: "cc-by-4.0" } }
    const { files } = await runIn(given, runFold(WriteShards, given, [["rows", rowsOf(columns)]]))
    expect(Object.keys(files)).toEqual([
      "train-00000.parquet",
      "train-00001.parquet",
      "train-00002.parquet",
      "README.md"
    ])
    const card = new TextDecoder().decode(files["README.md"])
    expect(card).toMatch(/^---\nlicense: "cc-by-4.0"\n/)
    expect(card).toContain('path: "train-*.parquet"')
    expect(card).toContain('- name: "image"\n    dtype: image')
    expect(card).toContain("num_examples: 5")
  })

  it("writes what ReadPairs reads", async () => {
    const given = { config: { rows_per_shard: 3 } }
    const { files } = await runIn(given, runFold(WriteShards, given, [["rows", rowsOf(columns)]]))
    for (const [name, bytes] of Object.entries(files)) writeFileSync(join(folder, name), bytes)
    const texts = await runIn(
      { layer: Files.layer },
      Effect.gen(function* () {
        const pairs = yield* openPairs(folder)
        const batches = yield* Effect.forEach(pairs.shards.keys(), (shard) => Stream.runCollect(pairs.read(shard)))
        return batches.flat().flatMap(({ batch }) => textsOf(batch.getChild("text")!))
      })
    )
    expect(texts).toEqual(["one", "two", "five"])
  })

  it("keeps the columns' order and the row ids in Arrow", async () => {
    const given = { config: { format: "arrow" } }
    const { files } = await runIn(given, runFold(WriteShards, given, [["rows", rowsOf(columns)]]))
    const [batch] = decodeShard(files["train-00000.arrow"]!, "train-00000.arrow", 5)
    expect(batch!.schema.fields.map(({ name }) => name)).toEqual(["row_id", ...Object.keys(columns)])
  })
})
