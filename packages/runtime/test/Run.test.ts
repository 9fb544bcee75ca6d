import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { calls, resetCalls } from "./operators.ts"
import { digests, everything, run, temporaryFolder } from "./pipelines.ts"

const simple = `
version: 1
name: simple
seed: 1
nodes:
  rows:   { op: Numbers, shards: 2, rows: 20, bad: 10 }
  length: { op: Measure, in: { text: rows.text }, refuse: 7 }
  sum:    { op: Sum, in: { score: length.length } }
`

describe("Run", () => {
  it.effect("takes a source through a map into a fold and counts every row once", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      resetCalls()
      const record = yield* run(store, simple)
      const { rows, length, sum } = record.nodes
      assert.deepInclude(rows, { rows_in: 40, rows_out: 36, rejected: 4, cached: false })
      assert.deepInclude(length, { rows_in: 36, rows_out: 30, rejected: 6, cached: false })
      assert.deepInclude(sum, { rows_in: 30, cached: false })
      assert.strictEqual(record.status, "done")
      assert.strictEqual(record.metrics["sum.rows"], 30)
      assert.strictEqual(calls["Measure.open"], 1)
    })
  )

  it.effect("does nothing when it is run again", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* run(store, everything)
      resetCalls()
      const second = yield* run(store, everything)
      assert.deepStrictEqual(Object.keys(calls), ["Numbers.open"])
      assert.deepStrictEqual(digests(second), digests(first))
      assert.isTrue(Object.values(second.nodes).every((node) => node.cached))
      assert.notStrictEqual(second.run, first.run)
      assert.deepStrictEqual(second.metrics, first.metrics)
    })
  )
})
