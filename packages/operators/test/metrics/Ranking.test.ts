import { describe, expect, it } from "vitest"
import fc from "fast-check"
import cases from "../reference/ranking.json" with { type: "json" }
import { atThreshold, averagePrecision, rocAuc } from "../../src/metrics/Ranking.ts"
import { rankOf, recallAt } from "../../src/metrics/Recall.ts"

describe.each(cases)("ranking of $scores.length scores equals scikit-learn's", (wanted) => {
  it("AUC and average precision", () => {
    expect(rocAuc(wanted)).toBeCloseTo(wanted.roc_auc, 12)
    expect(averagePrecision(wanted)).toBeCloseTo(wanted.average_precision, 12)
  })

  it("precision, recall and F1", () => {
    const found = atThreshold(wanted, 0.5)
    expect(found.precision).toBeCloseTo(wanted.precision, 12)
    expect(found.recall).toBeCloseTo(wanted.recall, 12)
    expect(found.f1).toBeCloseTo(wanted.f1, 12)
  })
})

describe("recall at K", () => {
  const recall = (scores: ReadonlyArray<number>, right: ReadonlyArray<number>, k: number) =>
    recallAt(
      rankOf(scores, (answer) => right.includes(answer)),
      k
    )

  it("is 1 when a right answer is among the first K, else 0", () => {
    expect(recall([0.1, 0.9, 0.5, 0.4], [2], 1)).toBe(0)
    expect(recall([0.1, 0.9, 0.5, 0.4], [2], 2)).toBe(1)
    expect(recall([0.1, 0.9, 0.5, 0.4], [0, 1], 1)).toBe(1)
  })

  it("gives chance when all scores are equal", () => {
    expect(recall([1, 1, 1, 1], [3], 1)).toBeCloseTo(1 / 4, 12)
    expect(recall([1, 1, 1, 1], [2, 3], 2)).toBeCloseTo(1 - (2 / 4) * (1 / 3), 12)
    expect(recall([1, 1, 1, 1], [3], 10)).toBe(1)
  })

  it("is the mean over all orders of tied answers", () => {
    const score = fc.constantFrom(0, 1, 2)
    fc.assert(
      fc.property(
        fc.array(score, { minLength: 1, maxLength: 5 }),
        fc.nat(),
        fc.integer({ min: 1, max: 6 }),
        (scores, pick, k) => {
          const right = [pick % scores.length, 0]
          let hits = 0
          const orders = permutations(scores.map((_, i) => i))
          for (const order of orders) {
            // A stable sort of each permutation gives every order of the ties equally often.
            const ranked = [...order].sort((a, b) => scores[b]! - scores[a]!)
            if (ranked.slice(0, k).some((answer) => right.includes(answer))) hits += 1
          }
          expect(recall(scores, right, k)).toBeCloseTo(hits / orders.length, 10)
        }
      )
    )
  })
})

const permutations = (items: ReadonlyArray<number>): ReadonlyArray<ReadonlyArray<number>> =>
  items.length <= 1
    ? [items]
    : items.flatMap((item, i) => permutations(items.filter((_, j) => j !== i)).map((rest) => [item, ...rest]))
