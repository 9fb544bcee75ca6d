import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import {
  appendColumns,
  columnOf,
  concatBatches,
  DataError,
  decodeShard,
  encodeShard,
  filterRows,
  flagColumn,
  flagsOf,
  floatsOf,
  imageColumn,
  imagesOf,
  intsOf,
  labelColumn,
  makeBatch,
  rowIdsOf,
  rowIdVector,
  schemaHash,
  scoreColumn,
  selectColumns,
  shapeOf,
  sliceRows,
  sourceRowIds,
  takeRows,
  tensorColumn,
  textColumn,
  textsOf
} from "../src/index.ts"
import type { RecordBatch } from "apache-arrow"

interface Row {
  readonly image: string | null
  readonly text: string | null
  readonly score: number
  readonly label: number
  readonly flag: boolean
  readonly embedding: ReadonlyArray<number>
  readonly tokens: ReadonlyArray<number>
}

const float = fc.float({ noNaN: true })
const row: fc.Arbitrary<Row> = fc.record({
  image: fc.option(fc.string()),
  text: fc.option(fc.string({ unit: "grapheme" })),
  score: float,
  label: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  flag: fc.boolean(),
  embedding: fc.array(float, { minLength: 3, maxLength: 3 }),
  tokens: fc.array(fc.nat(1000), { minLength: 2, maxLength: 2 })
})

const batchOf = (rows: ReadonlyArray<Row>): RecordBatch =>
  makeBatch({
    row_id: rowIdVector(sourceRowIds("key", 0, rows.length)),
    image: imageColumn(rows.map(({ image }) => (image === null ? null : { bytes: Buffer.from(image), path: image }))),
    text: textColumn(rows.map(({ text }) => text)),
    score: scoreColumn(Float32Array.from(rows, ({ score }) => score)),
    label: labelColumn(Int32Array.from(rows, ({ label }) => label)),
    flag: flagColumn(rows.map(({ flag }) => flag)),
    embedding: tensorColumn(Float32Array.from(rows.flatMap(({ embedding }) => embedding)), [3]),
    tokens: tensorColumn(Int32Array.from(rows.flatMap(({ tokens }) => tokens)), [1, 2])
  })

const rowsOf = (batch: RecordBatch): ReadonlyArray<Row> => {
  const texts = textsOf(columnOf(batch, "text"))
  const images = imagesOf(columnOf(batch, "image"))
  const scores = floatsOf(columnOf(batch, "score"))
  const labels = intsOf(columnOf(batch, "label"))
  const flags = flagsOf(columnOf(batch, "flag"))
  const embeddings = floatsOf(columnOf(batch, "embedding"))
  const tokens = intsOf(columnOf(batch, "tokens"))
  return texts.map((text, i) => ({
    image: images[i] === null ? null : Buffer.from(images[i]!.bytes).toString(),
    text,
    score: scores[i]!,
    label: labels[i]!,
    flag: flags[i]!,
    embedding: [...embeddings.subarray(3 * i, 3 * i + 3)],
    tokens: [...tokens.subarray(2 * i, 2 * i + 2)]
  }))
}

describe("record batches", () => {
  it("give back what was put in, through a shard's bytes too", () => {
    fc.assert(
      fc.property(fc.array(row), (rows) => {
        const batch = batchOf(rows)
        assert.deepStrictEqual(rowsOf(batch), rows)
        const bytes = encodeShard([batch])
        assert.deepStrictEqual(encodeShard([batchOf(rows)]), bytes)
        const read = decodeShard(bytes, "shard", rows.length)
        assert.deepStrictEqual(read.flatMap(rowsOf), rows)
        if (read[0] !== undefined) assert.strictEqual(schemaHash(read[0].schema), schemaHash(batch.schema))
      })
    )
  })

  it("slice, take, filter and concat as arrays do", () => {
    fc.assert(
      fc.property(fc.array(row, { minLength: 1 }), fc.infiniteStream(fc.nat()), (rows, numbers) => {
        const next = (below: number): number => numbers.next().value! % below
        const batch = batchOf(rows)
        const cut = next(rows.length + 1)
        const [head, tail] = [sliceRows(batch, 0, cut), sliceRows(batch, cut, rows.length)]
        assert.deepStrictEqual(rowsOf(tail), rows.slice(cut))
        assert.deepStrictEqual(rowsOf(concatBatches([tail, head])), [...rows.slice(cut), ...rows.slice(0, cut)])
        const indices = Int32Array.from({ length: next(20) }, () => next(rows.length))
        assert.deepStrictEqual(
          rowsOf(takeRows(batch, indices)),
          Array.from(indices, (i) => rows[i]!)
        )
        const mask = rows.map(() => next(2))
        assert.deepStrictEqual(
          rowsOf(filterRows(batch, mask)),
          rows.filter((_, i) => mask[i])
        )
        const read = decodeShard(encodeShard([tail, head]), "shard")
        assert.deepStrictEqual(read.flatMap(rowsOf), [...rows.slice(cut), ...rows.slice(0, cut)])
      })
    )
  })

  it("keep a tensor's shape and share its memory", () => {
    const values = Float32Array.from({ length: 24 }, (_, i) => i)
    const batch = makeBatch({ image_tokens: tensorColumn(values, [3, 4]) })
    assert.deepStrictEqual(shapeOf(columnOf(batch, "image_tokens").type), [3, 4])
    assert.strictEqual(floatsOf(columnOf(batch, "image_tokens")).buffer, values.buffer)
    const [read] = decodeShard(encodeShard([batch]), "shard")
    assert.deepStrictEqual(shapeOf(columnOf(read!, "image_tokens").type), [3, 4])
    const field = read!.schema.fields[0]!
    assert.strictEqual(field.metadata.get("ARROW:extension:name"), "arrow.fixed_shape_tensor")
    assert.strictEqual(field.metadata.get("ARROW:extension:metadata"), '{"shape":[3,4]}')
  })

  it("append, replace and rename columns", () => {
    const batch = makeBatch({ text: textColumn(["a", "b"]) })
    const more = appendColumns(batch, { score: scoreColumn(Float32Array.of(1, 2)), text: textColumn(["c", null]) })
    assert.deepStrictEqual(textsOf(columnOf(more, "text")), ["c", null])
    const renamed = selectColumns(more, { caption: "text" })
    assert.deepStrictEqual(renamed.schema.names, ["caption"])
  })

  it("say what is wrong with a column", () => {
    const batch = makeBatch({ text: textColumn(["a"]) })
    assert.throws(() => columnOf(batch, "txt"), DataError, "no column txt, got text")
    assert.throws(() => floatsOf(columnOf(batch, "text")), DataError, "expected float32 or a list of it, got Utf8")
    assert.throws(() => tensorColumn(new Float32Array(5), [3]), DataError, "a multiple of [3], got 5 values")
    assert.throws(
      () => makeBatch({ a: textColumn(["a"]), b: textColumn([]) }),
      DataError,
      "column b has another length than a; expected 1 rows, got 0 rows"
    )
    assert.throws(() => decodeShard(encodeShard([batch]), "shard", 2), DataError, "expected 2 rows, got 1 rows")
  })

  it("give distinct row ids that depend on content and index alone", () => {
    const ids = rowIdsOf(makeBatch({ row_id: rowIdVector(sourceRowIds("key", 0, 100)) }))
    assert.deepStrictEqual(sourceRowIds("key", 40, 2), ids.slice(640, 672))
    assert.notDeepEqual(sourceRowIds("kex", 40, 2), ids.slice(640, 672))
  })
})
