import type { RunRecord } from "@bootlace/graph"
import { assert, describe, it } from "vitest"
import { compareAttrition, compareMetrics } from "../src/Compare.ts"

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

/** A filter over seeds that kept so many of 100 rows, its source that rejected one of ten, and an encoder that lost none. */
const filtered = (kept: ReadonlyArray<number>): RunRecord => {
  const counts = { op: "", cached: false, seconds: 0, artifact: "" }
  const ids = kept.map((_, i) => `chosen[seed=${i}]`)
  const all = (rows: number) => ({ ...counts, rows_in: rows, rows_out: rows, rejected: 0, ports: {} })
  return {
    ...record([]),
    nodes: {
      pairs: { ...counts, rows_in: 10, rows_out: 9, rejected: 1, ports: { pairs: 9 } },
      image: all(9),
      recall: { ...all(9), rows_out: 0 },
      ...Object.fromEntries(
        ids.map((id, i) => [id, { ...all(100), ports: { kept: kept[i]!, rejected: 100 - kept[i]! } }])
      )
    },
    graph: [
      { id: "pairs", op: "ReadPairs", kind: "source", axes: {}, inputs: [] },
      { id: "image", op: "ImageEncoder", kind: "map", axes: {}, inputs: [] },
      { id: "recall", op: "RetrievalRecall", kind: "fold", axes: {}, inputs: [] },
      ...ids.map((id, i) => ({ id, op: "Filter", kind: "route" as const, axes: { seed: String(i) }, inputs: [] }))
    ]
  }
}

describe("compareAttrition", () => {
  it("gives the share of rows that each node dropped, and calls it a change only beyond the spread over seeds", () => {
    const changes = compareAttrition(filtered([70, 60, 65]), filtered([80, 71, 74]))
    const [pairs, chosen] = changes
    assert.lengthOf(changes, 2)
    assert.deepStrictEqual([pairs!.node, pairs!.verdict], ["pairs", "equal"])
    assert.approximately(pairs!.a!, 0.1, 1e-12)
    assert.deepStrictEqual([chosen!.node, chosen!.metric, chosen!.verdict], ["chosen", "attrition", "lower"])
    assert.approximately(chosen!.a!, 0.35, 1e-12)
    assert.approximately(chosen!.b!, 0.25, 1e-12)
    assert.approximately(chosen!.difference!.mean, -0.1, 1e-12)
    assert.strictEqual(compareAttrition(filtered([70, 60, 65]), filtered([80, 50, 74]))[1]!.verdict, "not resolved")
  })
})
