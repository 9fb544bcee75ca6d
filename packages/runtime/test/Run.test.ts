import { assert, describe, it } from "@effect/vitest"
import { Files } from "@bootlace/data"
import { readPipeline } from "@bootlace/graph"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { readRun, runPlan } from "../src/index.ts"
import { calls, registry, resetCalls, Start } from "./operators.ts"
import { digests, everything, run, services, temporaryFolder } from "./pipelines.ts"

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

  for (const [what, size] of [
    ["no rows", "shards: 2, rows: 0"],
    ["no shards", "shards: 0, rows: 9"],
    ["bad rows only", "shards: 2, rows: 9, bad: 1"]
  ]) {
    it.effect(`takes ${what} as it takes rows`, () =>
      Effect.gen(function* () {
        const store = yield* temporaryFolder
        const yaml = everything.replace("shards: 3, rows: 40, bad: 9", size!)
        const record = yield* run(store, yaml)
        assert.deepInclude(record.nodes["left"], { rows_out: 0 })
        assert.deepInclude(record.nodes["split"], { rows_in: 0, rows_out: 0, ports: { high: 0, low: 0 } })
        assert.deepInclude(record.nodes["both"], { rows_out: 50 })
        assert.strictEqual(record.metrics["total.rows"], 50)
        assert.strictEqual(record.metrics["sum.rows"], 0)
        assert.isTrue(Object.values((yield* run(store, yaml)).nodes).every(({ cached }) => cached))
      })
    )
  }

  it.effect("records what it got done before it failed", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const yaml = `${simple}  bad:    { op: Faulty, in: { text: rows.text }, mode: throws }\n  late:   { op: Sum, in: { score: bad.out } }\n`
      yield* Effect.flip(run(store, yaml))
      const [id] = readdirSync(join(store, "runs"))
      const record = (yield* Effect.provide(readRun(store, id!), Files.layer))!
      assert.strictEqual(record.status, "failed")
      assert.match(record.error!, /R230.*node=bad/)
      assert.deepInclude(record.nodes["bad"], { rows_in: 0, cached: false, artifact: "" })
      assert.deepInclude(record.nodes["late"], { rows_in: 0, cached: false, artifact: "" })
    })
  )

  it.effect("gives two nodes that do the same to the same rows one result", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      yield* run(store, simple)
      resetCalls()
      const renamed = simple
        .replaceAll("length", "size")
        .replaceAll("size.size", "size.length")
        .replace("name: simple", "name: other")
      const record = yield* run(store, renamed)
      assert.isTrue(Object.values(record.nodes).every(({ cached }) => cached))
      assert.isUndefined(calls["Measure.call"])
    })
  )

  it.effect("R112: refuses what a fold made of files that are not those of its key any more", () =>
    Effect.gen(function* () {
      let looks = 0
      const content = () => Effect.sync(() => (looks++ === 0 ? "before" : "after"))
      const Changing = { ...Start, body: { ...Start.body, content } }
      const yaml = "version: 1\nname: changing\nseed: 1\nnodes:\n  start: { op: Start, path: files }\n"
      const plan = yield* Effect.orDie(
        readPipeline(yaml, { file: "changing.yaml", registry: { ...registry, Start: Changing } })
      )
      const store = yield* temporaryFolder
      const error = yield* Effect.flip(runPlan(plan)).pipe(Effect.provide(services(store)))
      assert.deepStrictEqual([error.code, error.node], ["R112", "start"])
      assert.include(error.message, "its files changed while they were read")
      assert.isEmpty(readdirSync(join(store, "artifacts")))
    })
  )
})
