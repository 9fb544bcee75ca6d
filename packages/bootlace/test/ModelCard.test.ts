import type { DrawnNode, RunRecord } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import type { RunLock } from "../src/RunLock.ts"
import { modelCard, ownMetrics } from "../src/ModelCard.ts"

const node = (id: string, op: string, kind: string, ...from: ReadonlyArray<string>): DrawnNode => ({
  id,
  op,
  kind,
  axes: {},
  inputs: from.map((each) => ({ input: each, from: each, port: "out" }))
})

/** Two models; `together` is fed by both, `ratio` hangs on the first one's rows, `unseen` is measured on without any. */
const record: RunRecord = {
  run: "1abc",
  pipeline: "small",
  plan: "f00",
  status: "done",
  seed: 5,
  engine: "onnx",
  started: "2026-01-01T00:00:00Z",
  seconds: 1,
  nodes: {
    pairs: {
      op: "ReadPairs",
      rows_in: 0,
      rows_out: 40,
      rejected: 0,
      cached: false,
      seconds: 1,
      artifact: "a",
      ports: {}
    }
  },
  metrics: { "first.itc_loss": 0.25, "recall.r1": 0.5, "recall2.r1": 0.75, "together.auc": 0.9, "ratio.f1": 0.125 },
  rows: [],
  artifacts: [],
  graph: [
    node("pairs", "ReadPairs", "source"),
    node("other", "ReadPairs", "source"),
    node("blip", "InitModel", "fold"),
    node("first", "Train", "train", "pairs", "blip"),
    node("second", "Train", "train", "other", "first"),
    node("image", "ImageEncoder", "map", "pairs", "first"),
    node("image2", "ImageEncoder", "map", "pairs", "second"),
    node("recall", "RetrievalRecall", "fold", "image"),
    node("recall2", "RetrievalRecall", "fold", "image2"),
    node("together", "BinaryMetrics", "fold", "image", "image2"),
    node("ratio", "BinaryMetrics", "fold", "image")
  ]
}

const lock: RunLock = {
  format: "bootlace-run-lock-1",
  run: "1abc",
  bootlace: "0.1.0",
  node: "24.1.0",
  operators: {},
  pipeline: { file: "/home/me/small.yaml", text: "", set: ["steps=9", "name=it's"], seed: 5 },
  plan: "f00",
  engine: "onnx",
  threads: 2,
  numerics: "onnx 1",
  artifacts: {}
}

describe("a model's card", () => {
  it("says how to run it again, without the machine's paths", () => {
    const facts = { record, node: "first", dtype: "float32", parameters: 1, attribution: undefined } as const
    const card = modelCard({ ...facts, class: "CLIPModel", config: { steps: 9 }, lock })
    expect(card).toContain('```json\n{\n  "steps": 9\n}\n```')
    expect(card).toContain(
      "npx bootlace run small.yaml --set steps=9 --set 'name=it'\\''s' --seed 5 --engine onnx --threads 2\n"
    )
    expect(card).toContain("Node 24.1.0")
    expect(card).not.toContain("/home/me")
  })

  it("has the results that no other model had a part in", () => {
    expect(ownMetrics(record, "first")).toEqual([
      ["recall.r1", 0.5],
      ["ratio.f1", 0.125]
    ])
    expect(ownMetrics(record, "second")).toEqual([["recall2.r1", 0.75]])
  })

  it("says what the model is, learnt from and was measured to do", () => {
    const facts = { record, node: "first", dtype: "float16", parameters: 12_345, attribution: "by Somebody" } as const
    const card = modelCard({ ...facts, class: "CLIPModel" })
    expect(card).toMatch(/^---\nlibrary_name: transformers\npipeline_tag: zero-shot-image-classification\n/)
    expect(card).toContain("CLIPModel with 12,345 parameters, stored as float16")
    expect(card).toContain("| itc_loss | 0.2500 |")
    expect(card).toContain("| pairs | ReadPairs | 40 | `a` |")
    expect(card).not.toContain("## Run it again")
    expect(card).not.toContain("| other |")
    expect(card).toContain("by Somebody")
    expect(card).toContain("| recall.r1 | 0.5000 |")
    const measured = modelCard({ ...facts, node: "blip", class: "BlipModel", attribution: undefined })
    expect(measured).toContain("No node of the run measured this model alone.")
    expect(measured).not.toContain("pipeline_tag")
  })
})
