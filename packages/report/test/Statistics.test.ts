import { it } from "@effect/vitest"
import * as fc from "fast-check"
import { assert, describe } from "vitest"
import {
  deviation,
  interval95,
  pairedDifference,
  rocAuc,
  smooth,
  studentCdf,
  studentQuantile
} from "../src/Statistics.ts"

describe("Statistics", () => {
  // Quantiles from the printed tables of Student's t, two-sided 95%.
  it.each([
    [1, 12.706204736],
    [2, 4.302652729],
    [4, 2.776445105],
    [9, 2.262157163],
    [29, 2.045229642],
    [200, 1.971896224]
  ])("knows the 97.5% quantile of t with %i degrees of freedom", (df, expected) => {
    assert.approximately(studentQuantile(0.975, df), expected, 1e-6)
    assert.approximately(studentCdf(-expected, df), 0.025, 1e-9)
  })

  // Half width by hand: t(0.975, 5) = 2.570581836 times the standard error of six differences.
  it("gives the paired interval of a worked example", () => {
    const a = new Map([
      ["1", 12.9],
      ["2", 13.5],
      ["3", 12.8],
      ["4", 15.6],
      ["5", 17.2],
      ["6", 19.2]
    ])
    const b = new Map([
      ["1", 12.7],
      ["2", 13.6],
      ["3", 12],
      ["4", 15.2],
      ["5", 16.8],
      ["6", 20],
      ["7", 99]
    ])
    const result = pairedDifference(a, b)
    const differences = [-0.2, 0.1, -0.8, -0.4, -0.4, 0.8]
    const half = (2.570581836 * deviation(differences)) / Math.sqrt(6)
    assert.strictEqual(result.n, 6)
    assert.approximately(result.mean, -0.15, 1e-9)
    assert.approximately(result.low, -0.15 - half, 1e-6)
    assert.approximately(result.high, -0.15 + half, 1e-6)
    assert.isFalse(result.resolved)
  })

  it("resolves a steady difference and never a single pair", () => {
    assert.isTrue(interval95([0.02, 0.021, 0.019, 0.02, 0.022]).resolved)
    assert.isFalse(interval95([5]).resolved)
    assert.strictEqual(interval95([5]).high, Infinity)
  })

  // sklearn.metrics.roc_auc_score's documented example: 0.75.
  it("computes the area under the ROC curve, ties counted half", () => {
    assert.strictEqual(rocAuc([0.1, 0.4, 0.35, 0.8], [false, false, true, true]), 0.75)
    assert.strictEqual(rocAuc([1, 1, 1, 1], [false, true, false, true]), 0.5)
    assert.isNaN(rocAuc([1, 2], [true, true]))
  })

  it("smooths without moving a straight line", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 9 }), (n, radius) => {
        const line = Array.from({ length: n }, (_, i) => 3 - 0.5 * i)
        smooth(line, radius).forEach((y, i) => assert.approximately(y, line[i]!, 1e-9))
      })
    )
  })
})
