import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import type { RecordBatch } from "apache-arrow"
import {
  columnOf,
  concatBatches,
  encodeShard,
  imageColumn,
  intsOf,
  keyOf,
  labelColumn,
  makeBatch,
  makeManifest,
  makeShardSplitter,
  openDataset,
  sha256,
  sliceRows,
  textColumn,
  textsOf
} from "../src/index.ts"
import type { CommittedArtifact } from "../src/index.ts"

const rows = (start: number, end: number): RecordBatch => {
  const numbers = Array.from({ length: end - start }, (_, i) => start + i)
  return makeBatch({
    label: labelColumn(Int32Array.from(numbers)),
    text: textColumn(numbers.map((n) => "x".repeat(n % 17))),
    image: imageColumn(numbers.map((n) => ({ bytes: new Uint8Array(n % 5) })))
  })
}

const labels = (batch: RecordBatch): Array<number> => [...intsOf(columnOf(batch, "label"))]
const range = (end: number): Array<number> => Array.from({ length: end }, (_, i) => i)

/** An artifact in memory; counts its reads. */
const artifact = (shards: ReadonlyArray<RecordBatch>, reads: { count: number } = { count: 0 }): CommittedArtifact => {
  const encoded = shards.map((batch) => encodeShard([batch]))
  const files = encoded.map((bytes, i) => ({
    name: `0000${i}.arrow`,
    bytes: bytes.length,
    sha256: sha256(bytes),
    rows: shards[i]!.numRows
  }))
  return {
    ...makeManifest(keyOf("key"), {}, files).manifest,
    path: Effect.succeed,
    read: (name) =>
      Effect.sync(() => {
        reads.count += 1
        return new Uint8Array(encoded[files.findIndex((file) => file.name === name)]!)
      })
  }
}

describe("shard splitter", () => {
  it("cuts at the same rows and gives the same bytes however rows are batched", () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(9)),
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 90 }),
        (cuts, n, b) => {
          const total = cuts.reduce((sum, cut) => sum + cut, 0)
          const splitAll = (batches: ReadonlyArray<RecordBatch>): ReadonlyArray<RecordBatch> => {
            const splitter = makeShardSplitter({ max_rows: n, max_bytes: b })
            const full = batches.flatMap(splitter.push)
            const rest = splitter.finish()
            assert.isUndefined(splitter.pending())
            return rest === undefined ? full : [...full, rest]
          }
          const whole = rows(0, total)
          let at = 0
          const pieces = cuts.map((cut) => sliceRows(whole, at, (at += cut)))
          const shards = splitAll([whole])
          const again = splitAll([rows(0, 0), ...pieces])
          assert.deepStrictEqual(
            again.map((shard) => encodeShard([shard])),
            shards.map((shard) => encodeShard([shard]))
          )
          assert.deepStrictEqual(shards.flatMap(labels), range(total))
          for (const shard of shards) assert.isAtMost(shard.numRows, n)
        }
      )
    )
  })
})

describe("datasets", () => {
  it.effect("give rows by index across shards and artifacts", () =>
    Effect.gen(function* () {
      const whole = rows(0, 30)
      const cut = (start: number, end: number) => sliceRows(whole, start, end)
      const first = artifact([cut(0, 4), cut(4, 4), cut(4, 20)])
      const dataset = yield* openDataset([first, artifact([cut(20, 20), cut(20, 30), cut(30, 30)])])
      assert.strictEqual(dataset.numRows, 30)
      assert.deepStrictEqual(dataset.shardRows, [4, 0, 16, 0, 10, 0])
      const check = fc.asyncProperty(fc.array(fc.nat(29)), async (indices) => {
        const batch = await Effect.runPromise(dataset.rows(Int32Array.from(indices)))
        assert.deepStrictEqual(labels(batch), indices)
        assert.deepStrictEqual(
          textsOf(columnOf(batch, "text")),
          indices.map((n) => "x".repeat(n % 17))
        )
      })
      yield* Effect.promise(() => fc.assert(check))
      const all = yield* Effect.forEach(range(6), dataset.shard)
      assert.deepStrictEqual(labels(concatBatches(all)), range(30))
    })
  )

  it.effect("keep shards within the cache and read them again past it", () =>
    Effect.gen(function* () {
      const reads = { count: 0 }
      const one = artifact([rows(0, 5), rows(5, 10)], reads)
      const large = yield* openDataset([one])
      yield* large.rows(Int32Array.of(9, 0, 9, 3))
      yield* large.rows(Int32Array.of(1, 8))
      assert.strictEqual(reads.count, 2)
      const small = yield* openDataset([one], { cache_bytes: one.files[0]!.bytes + 1 })
      yield* small.rows(Int32Array.of(9, 0))
      yield* small.rows(Int32Array.of(9, 0))
      assert.isAbove(reads.count, 4)
      assert.strictEqual(large.digest, small.digest)
    })
  )

  it.effect("name an index outside, and a shard with other rows than its manifest says", () =>
    Effect.gen(function* () {
      const dataset = yield* openDataset([artifact([rows(0, 5)])])
      const outside = yield* Effect.flip(dataset.rows(Int32Array.of(0, 5)))
      assert.include(outside.message, "expected 0 to 4, got 5")
      const good = artifact([rows(0, 5)])
      const wrong = yield* openDataset([{ ...good, files: [{ ...good.files[0]!, rows: 6 }] }])
      assert.strictEqual((yield* Effect.flip(wrong.shard(0))).code, "BadArrow")
    })
  )
})
