import type { RunRecord } from "@bootlace/graph"
import { assert, describe, it } from "vitest"
import { resultsText, runJson, summaryText } from "../src/RunSummary.ts"

const node = (rejected: number, cached: boolean) => ({
  op: "ITM",
  rows_in: 10,
  rows_out: 10 - rejected,
  rejected,
  cached,
  seconds: 1,
  artifact: "ab",
  ports: {}
})

const record: RunRecord = {
  run: "r1",
  pipeline: "p",
  plan: "f".repeat(64),
  status: "done",
  seed: 1,
  engine: "onnx",
  started: "2026-01-01T00:00:00Z",
  seconds: 245,
  nodes: { itm: node(2, false), train: node(0, true) },
  metrics: {
    "recall[data=none,seed=1].r1": 0.1,
    "recall[data=none,seed=2].r1": 0.3,
    "recall[data=both,seed=1].r1": 0.5,
    "train.itc_loss": 2
  },
  rows: [],
  artifacts: [{ node: "train", output: "model", type: "model", key: "k" }],
  graph: [
    ...["none", "both"].flatMap((data) =>
      ["1", "2"].map((seed) => ({
        id: `recall[data=${data},seed=${seed}]`,
        op: "RetrievalRecall",
        kind: "fold",
        axes: { data, seed },
        inputs: []
      }))
    ),
    { id: "train", op: "Train", kind: "train", axes: {}, inputs: [] }
  ]
}

describe("RunSummary", () => {
  it("shows evaluations: a column per variant, mean and spread over seeds", () => {
    assert.strictEqual(
      resultsText(record),
      [
        "node    metric           none   both",
        "------  ------  -------------  -----",
        "recall  r1      0.200 \u00b1 0.141  0.500"
      ].join("\n")
    )
  })

  it("shows how trainings ended where nothing was evaluated, and nothing where nothing was measured", () => {
    const trained = { ...record, metrics: { "train.itc_loss": 2 } }
    assert.match(resultsText(trained)!, /^train +itc_loss +2$/m)
    assert.isUndefined(resultsText({ ...record, metrics: {} }))
  })

  it("counts nodes, cached ones and rejected rows", () => {
    assert.strictEqual(summaryText(record), "run r1 done in 4 min 05 s: 2 nodes, 1 cached, 2 rows rejected")
    const one = { ...record, nodes: { itm: { ...record.nodes["itm"]!, cached: false, rejected: 1 } } }
    assert.strictEqual(summaryText(one), "run r1 done in 4 min 05 s: 1 node, 1 row rejected")
  })

  it("gives one object with exactly the promised keys", () => {
    const json = runJson(record)
    assert.deepStrictEqual(Object.keys(json), ["run", "status", "seconds", "nodes", "metrics"])
    assert.deepStrictEqual(json.nodes["itm"], {
      op: "ITM",
      rows_in: 10,
      rows_out: 8,
      rejected: 2,
      cached: false,
      seconds: 1,
      artifact: "ab"
    })
  })
})
