import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { defaultLimits, makeForeignParser, withLimits } from "../src/index.ts"
import type { WantedColumn } from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const fixtures = new URL("./fixtures/", import.meta.url)
const fixture = (name: string): string => new URL(name, fixtures).pathname
const wanted: ReadonlyArray<WantedColumn> = [
  { names: ["image"], as: "image", type: "image" },
  { names: ["text"], as: "text", type: "text" }
]

describe("the parser process", () => {
  it.effect("is killed when it hangs", () =>
    Effect.gen(function* () {
      const limits = withLimits({ parser_timeout_ms: 200 })
      const parser = yield* makeForeignParser(limits, new URL("processes/Hangs.ts", fixtures))
      const error = yield* Effect.flip(parser.inspect("parquet", "some.parquet"))
      assert.strictEqual(error.code, "ParserStopped")
      assert.include(error.message, "some.parquet  no answer within 200 ms")
      assert.include(error.message, "limits.parser_timeout_ms")
    }).pipe(Effect.scoped)
  )

  it.effect("may die without taking the run along, and is started again", () =>
    Effect.gen(function* () {
      const parser = yield* makeForeignParser(defaultLimits, new URL("processes/Aborts.ts", fixtures))
      for (let i = 0; i < 2; i++) {
        const error = yield* Effect.flip(parser.inspect("parquet", "some.parquet"))
        assert.include(error.message, "it ended with signal SIGABRT")
      }
    }).pipe(Effect.scoped)
  )

  it.effect("survives damaged files: an answer or an error for each, and right rows after it", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder()
      const parser = yield* makeForeignParser(withLimits({ parser_timeout_ms: 2_000 }))
      const outcomes = { read: 0, refused: 0 }
      for (const [name, format] of [
        ["pairs.parquet", "parquet"],
        ["pairs.arrow", "arrow"],
        ["stream.arrow", "arrow"]
      ] as const) {
        const whole = readFileSync(fixture(name))
        for (let i = 0; i < 42; i++) {
          const damaged = Buffer.from(i % 3 === 0 ? whole.subarray(0, (i * whole.length) / 42) : whole)
          if (i % 3 === 1) damaged[(i * 7919) % damaged.length]! ^= 1 << (i % 8)
          if (i % 3 === 2) damaged.writeInt32LE(-1 - i, (i * 104_729) % (damaged.length - 4))
          const path = join(folder, name)
          writeFileSync(path, damaged)
          const result = yield* Effect.result(parser.read(format, path, 0, wanted))
          outcomes[result._tag === "Success" ? "read" : "refused"] += 1
        }
        const good = yield* parser.read(format, fixture(name), 0, wanted)
        assert.strictEqual(good.numRows, name === "pairs.parquet" ? 2 : 5)
      }
      assert.strictEqual(outcomes.read + outcomes.refused, 126)
      assert.isAbove(outcomes.refused, 42)
    }).pipe(Effect.scoped)
  )

  it.effect("refuses what is over a limit before reading it", () =>
    Effect.gen(function* () {
      const parser = yield* makeForeignParser(
        withLimits({ arrow_bytes: 100, parquet_row_group_bytes: 100, parser_timeout_ms: 20_000 })
      )
      const parquet = yield* Effect.flip(parser.inspect("parquet", fixture("pairs.parquet")))
      assert.include(parquet.message, "parquet_row_group_bytes is limited; expected at most 100, got 351")
      const arrow = yield* Effect.flip(parser.inspect("arrow", fixture("pairs.arrow")))
      assert.include(arrow.message, "arrow_bytes is limited")
    }).pipe(Effect.scoped)
  )
})
