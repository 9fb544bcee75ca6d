import { columnOf, floatsOf } from "@bootlace/data"
import type { ArtifactStore } from "@bootlace/data"
import { assert, afterEach, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as fc from "fast-check"
import { readFileSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { openStoredRows, overBudget } from "../src/index.ts"
import { calls, knobs, resetCalls, resetKnobs } from "./operators.ts"
import { digests, everything, planOf, run, services, temporaryFolder } from "./pipelines.ts"

afterEach(resetKnobs)

const filter = (from: number, more = "") => `
version: 1
name: filter
seed: 1
nodes:
  rows:  { op: Numbers, shards: 2, rows: 30 }
  embed: { op: Embed, in: { value: rows.value } }
  token: { op: TokenScore, in: { tokens: embed.tokens } }
  split: { op: Split, in: { value: token.score, text: rows.text }, from: ${from} }
  sum:   { op: Sum, in: { score: split.high.value } }
${more}`

const inStore = <A, E>(store: string, effect: Effect.Effect<A, E, ArtifactStore>) =>
  Effect.provide(effect, Layer.orDie(services(store)), { local: true })

describe("Chain", () => {
  it.effect("makes the same bytes whatever batches the source gives", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, everything))
      const splits = fc.sample(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 9 }), {
        numRuns: 6,
        seed: 11
      })
      for (const sizes of splits) {
        knobs.batch = (shard, start) => sizes[(start + shard) % sizes.length]!
        const other = yield* run(yield* temporaryFolder, everything, {
          in_flight: sizes.length,
          shards_at_once: (sizes.length % 3) + 1
        })
        assert.deepStrictEqual(digests(other), expected, `batches of ${sizes.join()}`)
      }
    })
  )

  it.live("begins a micro-batch before the one before is done, whatever batches the source gives", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, filter(0.5), { in_flight: 1 }))
      knobs.batch = () => 4
      knobs.computing = 30
      for (const in_flight of [1, 2, 3]) {
        resetCalls()
        const record = yield* run(yield* temporaryFolder, filter(0.5), { in_flight })
        assert.strictEqual(calls["Embed.together"], in_flight)
        assert.deepStrictEqual(digests(record), expected)
      }
    })
  )

  it.effect("runs the nodes of one row set in a single pass over the source", () =>
    Effect.gen(function* () {
      resetCalls()
      const record = yield* run(yield* temporaryFolder, filter(0.5))
      assert.strictEqual(calls["Numbers.read"], 2)
      // 30 rows in micro-batches of 4, and of 3, in each of two shards.
      assert.strictEqual(calls["Embed.call"], 16)
      assert.strictEqual(calls["TokenScore.call"], 20)
      const { split } = record.nodes
      assert.strictEqual(split!.rows_in, 60)
      assert.strictEqual(split!.ports["high"]! + split!.ports["low"]!, 60)
    })
  )

  it.effect("stores what another stage reads and nothing else; image tokens never", () =>
    Effect.gen(function* () {
      const record = yield* run(yield* temporaryFolder, filter(0.5))
      const stored = Object.fromEntries(
        record.rows.map(({ node, port, columns }) => [`${node}.${port}`, Object.keys(columns)])
      )
      assert.deepStrictEqual(stored, {
        "rows.rows": ["embed.embedding", "token.score"],
        "split.high": ["value"],
        "split.low": ["value"]
      })
    })
  )

  it.effect("decides again without scoring again", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      yield* run(store, filter(0.5))
      resetCalls()
      const record = yield* run(store, filter(0.8))
      assert.deepInclude(record.nodes["token"], { cached: true })
      assert.deepInclude(record.nodes["split"], { cached: false, rows_in: 60 })
      assert.isUndefined(calls["Embed.call"])
      assert.isUndefined(calls["TokenScore.call"])
      assert.deepStrictEqual(digests(record), digests(yield* run(yield* temporaryFolder, filter(0.8))))
    })
  )

  it.effect("runs two nodes that do the same once, also for what is not stored", () =>
    Effect.gen(function* () {
      const twins = filter(
        0.5,
        "  embed2: { op: Embed, in: { value: rows.value } }\n  token2: { op: TokenScore, in: { tokens: embed2.tokens }, batch_size: 5 }\n"
      )
      resetCalls()
      const { nodes } = yield* run(yield* temporaryFolder, twins)
      assert.strictEqual(calls["Embed.call"], 16)
      assert.strictEqual(calls["TokenScore.call"], 20 + 12)
      assert.strictEqual(nodes["embed2"]!.artifact, nodes["embed"]!.artifact)
      assert.deepInclude(nodes["embed2"], { rows_in: 60, rows_out: 60, cached: true })
      assert.deepInclude(nodes["token2"], { rows_in: 60, rows_out: 60, cached: false })
    })
  )

  it.effect("runs a cached node again where a new one reads what it doesn't store", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* run(store, filter(0.5))
      resetCalls()
      const more = yield* run(
        store,
        filter(0.5, "  token2: { op: TokenScore, in: { tokens: embed.tokens }, batch_size: 5 }\n")
      )
      assert.strictEqual(calls["Embed.call"], 16)
      assert.strictEqual(calls["TokenScore.call"], 12)
      assert.deepInclude(more.nodes["embed"], { cached: true, artifact: first.nodes["embed"]!.artifact })
      assert.deepInclude(more.nodes["token2"], { cached: false, rows_out: 60 })
    })
  )

  it.effect("runs a map again in a later pass, from what is stored", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const yaml = `
version: 1
name: later
seed: 1
nodes:
  rows:   { op: Numbers, shards: 2, rows: 30 }
  embed:  { op: Embed, in: { value: rows.value } }
  median: { op: Median, in: { value: rows.value } }
  late:   { op: Late, in: { tokens: embed.tokens, threshold: median.threshold } }
`
      resetCalls()
      const record = yield* run(store, yaml)
      assert.strictEqual(calls["Embed.call"], 32)
      assert.strictEqual(calls["Numbers.read"], 2)
      const rows = record.rows.find(({ node }) => node === "rows")!
      const batch = yield* Effect.flatMap(inStore(store, openStoredRows(rows, ["value", "late.over"])), (table) =>
        table.rows()
      )
      const median = record.metrics["median.median"]!
      assert.deepStrictEqual(
        [...columnOf(batch, "late.over")],
        [...floatsOf(columnOf(batch, "value"))].map((value) => value >= median)
      )
    })
  )

  it.effect("puts bad rows aside with their reason and says why rows were routed away", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const record = yield* run(store, everything)
      const keyOf = (node: string, port: string) =>
        record.rows.find((rows) => rows.node === node && rows.port === port)!
      const lines = (key: string, name: string) =>
        readFileSync(join(store, "artifacts", key, name), "utf8")
          .trim()
          .split("\n")
          .map((line) => JSON.parse(line))
      const bad = lines(keyOf("left", "rows").keys[0]!, "rejected.jsonl")
      assert.deepStrictEqual(
        bad.map(({ row }) => row),
        [8, 17, 26, 35]
      )
      assert.deepInclude(bad[0], { code: "R110", reason: "row 8 is bad" })
      const low = keyOf("split", "low")
      const ledger = low.keys.flatMap((key) => lines(key, "ledger.jsonl"))
      assert.strictEqual(ledger.length, record.nodes["split"]!.ports["low"])
      assert.isTrue(
        ledger.every(({ reason, score }) => reason === "too low" && score < record.metrics["median.median"]!)
      )
    })
  )

  it.effect("reads stored rows back with the columns of maps, and those that were only passed on", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const record = yield* run(store, everything)
      const left = record.rows.find(({ node }) => node === "left")!
      const table = yield* inStore(store, openStoredRows(left, ["text", "length.length", "token.score"]))
      assert.strictEqual(table.numRows, record.nodes["token"]!.rows_out)
      const batch = yield* table.rows()
      const texts = [...columnOf(batch, "text")] as Array<string>
      assert.deepStrictEqual(
        [...floatsOf(columnOf(batch, "length.length"))],
        texts.map((text) => text.length)
      )
      const picked = yield* table.rows(Int32Array.of(40, 3, 40))
      assert.deepStrictEqual([...columnOf(picked, "text")], [texts[40], texts[3], texts[40]])
      const both = record.rows.find(({ node }) => node === "both")!
      const united = yield* Effect.flatMap(inStore(store, openStoredRows(both, ["text", "size.length"])), (opened) =>
        opened.rows()
      )
      assert.strictEqual(united.numRows, record.nodes["both"]!.rows_out)
      assert.deepStrictEqual(
        [...floatsOf(columnOf(united, "size.length"))],
        ([...columnOf(united, "text")] as Array<string>).map((text) => text.length)
      )
      const low = record.rows.find(({ node, port }) => node === "split" && port === "low")!
      assert.includeMembers(Object.keys(low.columns), ["value", "text", "length"])
      const rows = yield* Effect.flatMap(inStore(store, openStoredRows(low, ["value", "length", "text"])), (opened) =>
        opened.rows()
      )
      assert.deepStrictEqual(
        [...floatsOf(columnOf(rows, "length"))],
        ([...columnOf(rows, "text")] as Array<string>).map((text) => text.length)
      )
    })
  )

  it.effect("stops at a bad row where the node says so, also when it was made before", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const yaml = (action: string) => `
version: 1
name: strict
seed: 1
nodes:
  rows:   { op: Numbers, shards: 1, rows: 20 }
  length: { op: Measure, in: { text: rows.text }, refuse: 6, on_bad_row: { action: ${action}, budget: 0.1 } }
`
      const stopped = yield* Effect.flip(run(store, yaml("stop")))
      assert.deepInclude(stopped, { code: "R233", node: "length", row: 0 })
      const record = yield* run(store, yaml("reject"))
      assert.strictEqual(record.nodes["length"]!.rejected, 4)
      assert.deepStrictEqual(overBudget(yield* planOf(yaml("reject")), record), ["length"])
      assert.deepInclude(yield* Effect.flip(run(store, yaml("stop"))), { code: "R233", node: "length", row: 0 })
    })
  )

  it.effect("holds a fast source back", () =>
    Effect.gen(function* () {
      let inHand = 0
      let most = 0
      knobs.batch = () => 1
      const counting = `
version: 1
name: slow
seed: 1
nodes:
  rows:   { op: Numbers, shards: 1, rows: 200 }
  length: { op: Measure, in: { text: rows.text } }
`
      // A batch is in hand from the source's giving it to the map's being done with it; every second call is the map's.
      const given = () => (calls["Numbers.given"] ?? 0) - (calls["Measure.call"] ?? 0)
      resetCalls()
      knobs.onCall = () => {
        inHand = given()
        most = Math.max(most, inHand)
      }
      yield* run(yield* temporaryFolder, counting)
      assert.isAtMost(most, 6)
      assert.strictEqual(calls["Numbers.given"], 200)
    })
  )

  it.effect("holds few rows of a streamed column at a time, however large the batches", () =>
    Effect.gen(function* () {
      let most = 0
      knobs.batch = () => 1000
      resetCalls()
      knobs.onCall = () => {
        most = Math.max(most, (calls["Embed.call"] ?? 0) - (calls["TokenScore.call"] ?? 0))
      }
      yield* run(
        yield* temporaryFolder,
        filter(0.5).replace("rows: 30", "rows: 1000").replaceAll("tokens }", "tokens }, batch_size: 4")
      )
      assert.strictEqual(calls["Embed.call"], 500)
      assert.isAtMost(most, 3)
    })
  )

  it.effect("makes a damaged artifact again", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* run(store, everything)
      const folder = join(store, "artifacts")
      const damaged = readdirSync(folder).flatMap((key) =>
        readdirSync(join(folder, key)).map((name) => join(folder, key, name))
      )
      for (const [i, path] of damaged.entries()) {
        if (i % 5 !== 0) continue
        const bytes = readFileSync(path)
        if (bytes.length === 0) continue
        bytes[(i * 7919) % bytes.length]! ^= 1 << (i % 8)
        writeFileSync(path, bytes)
      }
      const second = yield* run(store, everything)
      assert.deepStrictEqual(digests(second), digests(first))
      assert.isTrue(Object.values(second.nodes).some(({ cached }) => !cached))
      assert.deepStrictEqual(digests(yield* run(store, everything)), digests(first))
    })
  )
})
