import type { RunRecord } from "@bootlace/graph"
import { assert, describe, it } from "vitest"
import { compareMetrics } from "../src/Compare.ts"

/** A run whose node `recall` has `r1` by seed, and further metrics by key. */
const record = (r1: ReadonlyArray<number>, more: Readonly<Record<string, number>> = {}): RunRecord => ({
  run: "1abc",
  pipeline: "p",
  plan: "f00",
  status: "done",
  seed: 1,
  engine: "onnx",
  started: "2026-01-01T00:00:00Z",
  seconds: 1,
  nodes: {},
  metrics: { ...Object.fromEntries(r1.map((value, i) => [`recall[seed=${i + 1}].r1`, value])), ...more },
  rows: [],
  artifacts: [],
  graph: r1.map((_, i) => ({
    id: `recall[seed=${i + 1}]`,
    op: "RetrievalRecall",
    kind: "fold",
    axes: { seed: String(i + 1) },
    inputs: []
  }))
})
const verdictOf = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
  compareMetrics(record(a), record(b)).find(({ metric }) => metric === "r1")!

describe("compareMetrics", () => {
  it("calls a difference only what stands out of the spread over seeds", () => {
    assert.strictEqual(verdictOf([0.1, 0.2, 0.3], [0.15, 0.251, 0.349]).verdict, "higher")
    assert.strictEqual(verdictOf([0.15, 0.251, 0.349], [0.1, 0.2, 0.3]).verdict, "lower")
    // The same mean gain, but one seed lost what the others won.
    assert.strictEqual(verdictOf([0.1, 0.2, 0.3], [0.3, 0.15, 0.3]).verdict, "not resolved")
    assert.strictEqual(verdictOf([0.1, 0.2], [0.1, 0.2]).verdict, "equal")
  })

  it("says nothing about a single pair, however far apart", () => {
    const { verdict, difference, a, b } = verdictOf([0.1], [0.9])
    assert.strictEqual(verdict, "not resolved")
    assert.strictEqual(difference!.n, 1)
    assert.deepStrictEqual([a, b], [0.1, 0.9])
  })

  it("pairs by seed: seeds that only one run has tell nothing", () => {
    const { difference } = verdictOf([0.1, 0.2, 0.3], [0.2, 0.3])
    assert.strictEqual(difference!.n, 2)
    assert.approximately(difference!.mean, 0.1, 1e-12)
  })

  it("keeps metrics that only one of the runs has", () => {
    const changes = compareMetrics(record([0.1], { "old.auc": 1 }), record([0.1], { "new.auc": 2 }))
    assert.deepStrictEqual(
      changes.map(({ node, verdict, a, b }) => [node, verdict, a, b]),
      [
        ["recall", "equal", 0.1, 0.1],
        ["old", "only in A", 1, undefined],
        ["new", "only in B", undefined, 2]
      ]
    )
  })
})
