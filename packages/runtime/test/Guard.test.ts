import { assert, afterEach, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { knobs, resetKnobs } from "./operators.ts"
import { run, temporaryFolder } from "./pipelines.ts"

afterEach(resetKnobs)

const faulty = (mode: string) => `
version: 1
name: faulty
seed: 1
nodes:
  rows:   { op: Numbers, shards: 2, rows: 10 }
  before: { op: Measure, in: { text: rows.text } }
  bad:    { op: Faulty, in: { text: rows.text }, mode: ${mode} }
  after:  { op: Sum, in: { score: bad.out } }
`

describe("Guard", () => {
  it.effect("names the source that throws", () =>
    Effect.gen(function* () {
      knobs.batch = (_, start) => {
        if (start >= 7) throw new Error("cable cut")
        return 7
      }
      const error = yield* Effect.flip(run(yield* temporaryFolder, faulty("throws").replace(/ {2}bad[^]*/, "")))
      assert.deepInclude(error, { code: "R101", node: "rows" })
      assert.match(error.detail, /cable cut/)
    })
  )

  it.effect("names the source that loses rows", () =>
    Effect.gen(function* () {
      knobs.lostRows = 2
      const error = yield* Effect.flip(run(yield* temporaryFolder, faulty("throws").replace(/ {2}bad[^]*/, "")))
      assert.deepInclude(error, { code: "R231", node: "rows" })
      assert.match(error.detail, /gave 10 rows of a shard that it says has 12/)
    })
  )

  it.live("names the source that gives nothing", () =>
    Effect.gen(function* () {
      knobs.delay = 60_000
      const error = yield* Effect.flip(run(yield* temporaryFolder, faulty("throws"), { call_timeout: "200 millis" }))
      assert.deepInclude(error, { code: "R232", node: "rows" })
    })
  )

  it.effect("says which column has to be persisted", () =>
    Effect.gen(function* () {
      const yaml = `
version: 1
name: tokens
seed: 1
nodes:
  rows:   { op: Numbers }
  embed:  { op: Embed, in: { value: rows.value } }
  start:  { op: TokenSum, in: { tokens: embed.tokens } }
`
      const error = yield* Effect.flip(run(yield* temporaryFolder, yaml))
      assert.deepInclude(error, { code: "R421", node: "start" })
      assert.match(error.message, /persist: true at embed/)
      const record = yield* run(
        yield* temporaryFolder,
        yaml.replace("value: rows.value }", "value: rows.value }, persist: true")
      )
      assert.strictEqual(record.metrics["start.rows"], 40)
    })
  )
})
