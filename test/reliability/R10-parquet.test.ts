/**
 * R10: Parquet files made to mislead: every seventh prefix, flips, overwritten numbers, and a page that says little and means
 * much. The libraries behind it hang on some and have stopped a whole process on others: the parser's process is what ends.
 */
import { makeForeignParser, withLimits } from "@bootlace/data"
import { Effect } from "effect"
import { parquetWriteFile } from "hyparquet-writer"
import { readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { emptyFolder } from "../bootlace.ts"
import { fixtures, mutant, pairColumns, promised_ms, tallyForeign, told } from "./foreign.ts"
import { chances, figure, patience, times } from "./torture.ts"

const good = { path: `${fixtures}pairs.parquet`, rows: 2 }
const wholes = ["pairs.parquet", "zstd.parquet"].map((name) => readFileSync(fixtures + name))

function* prefixes(): Iterable<Buffer> {
  for (const whole of wholes) {
    for (let length = 0; length < whole.length; length += 7) yield whole.subarray(0, length)
  }
}

function* mutants(count: number): Iterable<Buffer> {
  const chance = chances("R10")
  for (let i = 0; i < count; i++) yield mutant(wholes[i % wholes.length]!, chance)
}

describe("hostile Parquet", () => {
  it(
    "R10: no file hangs or ends the run",
    async () => {
      const cut = await tallyForeign("parquet", prefixes(), good)
      assert.strictEqual(cut.read, 0)
      const changed = await tallyForeign("parquet", mutants(times(2_000)), good)
      for (const tally of [cut, changed]) assert.isBelow(tally.slowest_ms, promised_ms * 10)
      figure("R10", `prefixes, ${told(cut)}`)
      figure("R10", `flips and numbers, ${told(changed)}`)
    },
    patience(240_000)
  )

  it(
    "R10: a small file that means gigabytes ends its parser, not the run",
    async () => {
      const path = join(emptyFolder(), "bomb.parquet")
      const text = "x".repeat(60_000)
      parquetWriteFile({
        filename: path,
        rowGroupSize: 50_000,
        columnData: [
          { name: "image", data: Array(50_000).fill(new Uint8Array(1)), type: "BYTE_ARRAY" },
          { name: "text", data: Array(50_000).fill(text), type: "STRING" }
        ]
      })
      const { size } = statSync(path)
      assert.isBelow(size, 2 * 1024 * 1024)
      const before = process.memoryUsage.rss()
      const refused = await Effect.gen(function* () {
        const parser = yield* makeForeignParser(withLimits({ parser_timeout_ms: 60_000 }))
        const error = yield* Effect.flip(parser.read("parquet", path, 0, pairColumns))
        assert.strictEqual((yield* parser.read("parquet", good.path, 0, pairColumns)).numRows, good.rows)
        return error
      }).pipe(Effect.scoped, Effect.runPromise)
      assert.strictEqual(refused.code, "ParserStopped")
      assert.include(refused.message, "limits.parser_memory_mib")
      const grown = (process.memoryUsage.rss() - before) / 1024 / 1024
      assert.isBelow(grown, 256)
      figure(
        "R10",
        `${(size / 1024).toFixed(0)} KiB that mean 3 GB: parser ended (${refused.detail}), the run grew by ${grown.toFixed(0)} MiB and reads on`
      )
    },
    patience(120_000)
  )
})
