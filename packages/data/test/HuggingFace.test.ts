import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { parquetMetadata } from "hyparquet"
import { readFileSync } from "node:fs"
import {
  columnOf,
  datasetCard,
  encodeParquet,
  Files,
  flagColumn,
  imageColumn,
  imagesOf,
  labelColumn,
  makeBatch,
  openPairs,
  rowIdVector,
  sliceRows,
  sourceRowIds,
  tensorColumn,
  textColumn,
  textsOf
} from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const picture = readFileSync(new URL("../../../test/parity/images/rgb_37x53.png", import.meta.url))

const batch = makeBatch({
  row_id: rowIdVector(sourceRowIds("key", 0, 3)),
  image: imageColumn([{ bytes: picture, path: "a.png" }, null, { bytes: picture }]),
  text: textColumn(["one", "two", "\u4e09"]),
  embedding: tensorColumn(Float32Array.of(1, 2, 3, 4, 5, 6), [2]),
  flag: flagColumn([true, false, true]),
  label: labelColumn(Int32Array.of(7, 8, 9))
})

describe("Parquet as Hugging Face writes it", () => {
  it.effect("is read back as pairs", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder({ "train-00000.parquet": encodeParquet(batch) })
      const source = yield* openPairs(folder)
      const [read] = yield* Stream.runCollect(source.read(0))
      assert.deepStrictEqual(textsOf(columnOf(read!.batch, "text")), ["one", "\u4e09"])
      const images = imagesOf(columnOf(read!.batch, "image"))
      assert.deepStrictEqual(Buffer.from(images[0]!.bytes), picture)
      assert.deepStrictEqual(
        images.map((image) => image?.path),
        ["a.png", null]
      )
      assert.deepStrictEqual(
        read!.rejected.map(({ row, reason }) => [row, reason]),
        [[1, "image not decodable: no image bytes"]]
      )
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it("names its features, and gives equal bytes for equal rows", () => {
    const bytes = encodeParquet(batch)
    assert.deepStrictEqual(encodeParquet(batch), bytes)
    const metadata = parquetMetadata(bytes.buffer)
    const { info } = JSON.parse(metadata.key_value_metadata!.find(({ key }) => key === "huggingface")!.value!)
    assert.deepStrictEqual(info.features, {
      row_id: { dtype: "string", _type: "Value" },
      image: { _type: "Image" },
      text: { dtype: "string", _type: "Value" },
      embedding: { feature: { dtype: "float32", _type: "Value" }, length: 2, _type: "List" },
      flag: { dtype: "bool", _type: "Value" },
      label: { dtype: "int32", _type: "Value" }
    })
    assert.strictEqual(Number(parquetMetadata(encodeParquet(sliceRows(batch, 0, 0)).buffer).num_rows), 0)
  })

  it("has a card with features, files and splits", () => {
    const card = datasetCard({
      name: "Pairs",
      description: "Kept by a filter.",
      license: "cc-by-4.0",
      files: "train-*.parquet",
      num_rows: 3,
      num_bytes: 1_234,
      columns: batch
    })
    assert.strictEqual(
      card,
      `---
license: "cc-by-4.0"
task_categories:
- image-to-text
size_categories:
- "n<1K"
configs:
- config_name: default
  data_files:
  - split: "train"
    path: "train-*.parquet"
dataset_info:
  features:
  - name: "row_id"
    dtype: string
  - name: "image"
    dtype: image
  - name: "text"
    dtype: string
  - name: "embedding"
    list: float32
    length: 2
  - name: "flag"
    dtype: bool
  - name: "label"
    dtype: int32
  splits:
  - name: "train"
    num_bytes: 1234
    num_examples: 3
---

# Pairs

Kept by a filter.
`
    )
  })
})
