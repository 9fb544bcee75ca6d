/**
 * R22: somebody does not answer: a source, an operator, the process that parses foreign files. A time limit ends the wait with
 * an error that names who it was; what the others had finished is kept, and the next run goes on from there.
 */
import { makeForeignParser, withLimits } from "@bootlace/data"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { simulate, undisturbed } from "./simulated.ts"
import { figure } from "./torture.ts"

const two = (op: string, column: string) => `
version: 1
name: two
seed: 1
nodes:
  quick: { op: Numbers, shards: 1, rows: 20, word: quick }
  sum:   { op: Sum, in: { score: quick.value } }
  slow:  { op: Numbers, shards: 1, rows: 21, word: slow }
  stall: { ${op}, in: { text: slow.text } }
  late:  { op: Sum, in: { score: stall.${column} } }
`
const stalled = two("op: Faulty, mode: never", "out")
const mended = two("op: Measure", "length")
const limit_ms = 300

describe("one who does not answer", () => {
  it("R22: is named within its time, and the others' work is kept", async () => {
    const expected = digests(await undisturbed(mended))
    const disk = makeMemoryDisk()
    const start = performance.now()
    const { record, error } = await simulate(disk.files, stalled, { call_timeout: `${limit_ms} millis` })
    const took = performance.now() - start
    assert.isUndefined(record)
    assert.include(error, "R232")
    assert.include(error, "node=stall")
    assert.isBelow(took, 10 * (limit_ms + 1_000))
    const again = await simulate(disk.files, mended)
    assert.deepStrictEqual(digests(again.record!), expected)
    assert.isTrue(again.record!.nodes["quick"]!.cached)
    figure(
      "R22",
      `a node that never answers ended after ${took.toFixed(0)} ms with a limit of ${limit_ms} ms, by name; mended, the same bytes`
    )
  })

  it("R22: is named where it is the parser's process", async () => {
    const hangs = new URL("../../packages/data/test/fixtures/processes/Hangs.ts", import.meta.url)
    const asked = Effect.gen(function* () {
      const parser = yield* makeForeignParser(withLimits({ parser_timeout_ms: limit_ms }), hangs)
      return yield* Effect.flip(parser.inspect("parquet", "some.parquet"))
    })
    const error = await Effect.runPromise(Effect.scoped(asked))
    assert.strictEqual(error.code, "ParserStopped")
    assert.include(error.message, `some.parquet  no answer within ${limit_ms} ms`)
  })
})
