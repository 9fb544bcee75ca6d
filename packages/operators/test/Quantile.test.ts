import { rowIdHex, rowIdsOf, scoreColumn } from "@bootlace/data"
import { describe, expect, it } from "vitest"
import fc from "fast-check"
import { Quantile } from "../src/Quantile.ts"
import type { Threshold } from "../src/Threshold.ts"
import { operatorContract } from "./contract.ts"
import { readJson, rowsOf, runFold, runIn } from "./inMemory.ts"

const columns = { score: scoreColumn(Float32Array.of(0.5, 0.25, 0.5, 0.75, 0.5, 1)) }

operatorContract(Quantile, {
  config: { top: 0.5, column: "itc_score" },
  columns,
  nulls: { score: scoreColumn(Float32Array.of(1, Number.NaN)) },
  badConfigs: [
    { config: {}, names: /top/ },
    { config: { top: -0.1 }, names: /top/ }
  ]
})

const thresholdOf = async (scores: Float32Array, top: number): Promise<Threshold> => {
  const batch = rowsOf({ score: scoreColumn(scores) })
  const { files } = await runIn({}, runFold(Quantile, { config: { top } }, [["rows", batch]]))
  return readJson(files, "threshold.json") as Threshold
}

describe("Quantile", () => {
  it("keeps exactly its share of the rows, whatever ties there are", async () => {
    const score = fc.constantFrom(0, 0.25, 0.5, 1)
    const share = fc.double({ min: 0, max: 1, noNaN: true })
    await fc.assert(
      fc.asyncProperty(fc.array(score, { maxLength: 30 }), share, async (values, top) => {
        const scores = Float32Array.from(values)
        const ids = rowIdsOf(rowsOf({ score: scoreColumn(scores) }))
        const { value, row_id } = await thresholdOf(scores, top)
        const kept = values.filter(
          (each, row) => value !== null && (each > value || (each === value && rowIdHex(ids, row) <= row_id!))
        )
        expect(kept.length).toBe(Math.round(top * values.length))
        const dropped = values.toSorted((a, b) => a - b).slice(0, values.length - kept.length)
        expect(kept.every((each) => dropped.every((other) => other <= each))).toBe(true)
      }),
      { numRuns: 40 }
    )
  })

  it("keeps nothing of nothing", async () => {
    expect(await thresholdOf(new Float32Array(), 0.5)).toEqual({ column: "score", top: 0.5, value: null, row_id: null })
  })
})
