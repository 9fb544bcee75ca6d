/**
 * R27: one operator of a pipeline breaks its promises: it throws, rejects late, gives fewer or more rows, rejects rows that it
 * never got, never answers.
 *
 * Each is an error that names the node, no promise is left unheard, and what its siblings had at work is stopped. That no
 * operator of ours changes its input is part of the contract that all keep (packages/operators/test/contract.ts).
 */
import { assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { calls, resetCalls } from "../../packages/runtime/test/operators.ts"
import { simulate } from "./simulated.ts"
import { figure } from "./torture.ts"

const faulty = (mode: string) => `
version: 1
name: faulty
seed: 1
nodes:
  rows:   { op: Numbers, shards: 2, rows: 10 }
  before: { op: Measure, in: { text: rows.text } }
  bad:    { op: Faulty, in: { text: rows.text }, mode: ${mode} }
  beside: { op: Measure, in: { text: rows.text }, refuse: 3 }
  after:  { op: Sum, in: { score: bad.out } }
`

const cases: ReadonlyArray<readonly [mode: string, code: string, detail: RegExp]> = [
  ["throws", "R230", /threw Error: out of luck/],
  ["dies", "R230", /threw Error: out of luck/],
  ["late", "R230", /threw Error: out of luck/],
  ["opens", "R230", /threw Error: no such device/],
  ["fails", "R212", /no good/],
  ["never", "R232", /no answer within 300ms/],
  ["short", "R231", /gave 6 rows of out where 7 were expected/],
  ["long", "R231", /gave 8 rows of out where 7 were expected/],
  ["nameless", "R231", /gave no column out/],
  ["twice", "R231", /rejected a row twice/],
  ["outside", "R231", /rejected row 7 of a batch of 7 rows/]
]

describe("an operator that breaks its promises", () => {
  it("R27: is named, unheard by nobody, and stops its siblings", async () => {
    const unheard: Array<unknown> = []
    const listen = (reason: unknown): void => void unheard.push(reason)
    process.on("unhandledRejection", listen)
    try {
      for (const [mode, code, detail] of cases) {
        resetCalls()
        const { record, error } = await simulate(makeMemoryDisk().files, faulty(mode), { call_timeout: "300 millis" })
        assert.isUndefined(record, mode)
        assert.include(error, code, mode)
        assert.match(error, /node=bad/, mode)
        assert.match(error, detail, mode)
        if (mode !== "opens") assert.match(error, /shard=[0-9a-f]{12}/, mode)
        const stopped = { ...calls }
        await new Promise((resolve) => setTimeout(resolve, 50))
        assert.deepStrictEqual(calls, stopped, mode)
      }
    } finally {
      process.off("unhandledRejection", listen)
    }
    assert.deepStrictEqual(unheard, [])
    figure(
      "R27",
      `${cases.length} of ${cases.length} faults named with node and shard; 0 unhandled rejections; siblings at rest`
    )
  })
})
