import type { Span } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import { chromeTrace, familyTimes, SpanSums } from "../src/Profile.ts"

const span = (node: string, stage: Span["stage"], start: number, end: number, what = node): Span => ({
  node,
  stage,
  what,
  start: BigInt(start),
  end: BigInt(end)
})

describe("profile", () => {
  it("adds spans up by node and stage, and waiting by edge", () => {
    const sums = new SpanSums()
    sums.tell(span("image", "node", 0, 3e9))
    sums.tell(span("image", "compute", 1e9, 2e9))
    sums.tell(span("train", "node", 0, 5e9))
    sums.tell(span("web", "wait", 0, 1e9, "web -> image"))
    sums.tell(span("web", "wait", 2e9, 2.5e9, "web -> image"))
    expect(sums.nodes.map(({ node, seconds }) => [node, seconds.node, seconds.compute])).toEqual([
      ["train", 5, 0],
      ["image", 3, 1],
      ["web", 0, 0]
    ])
    expect(sums.edges).toEqual([{ edge: "web -> image", seconds: 1.5, times: 2 }])
  })

  it("puts spans that overlap on lines of their own, in microseconds from the first", () => {
    const { traceEvents } = chromeTrace(
      "run",
      [span("a", "compute", 3000, 5000), span("a", "compute", 1000, 4000), span("a", "compute", 5000, 6000)],
      []
    )
    const events = traceEvents.filter((event) => "ts" in event)
    expect(events.map(({ ts, dur, tid }) => [ts, dur, tid])).toEqual([
      [0, 3, 1],
      [2, 2, 2],
      [4, 1, 1]
    ])
  })

  it("knows the family of ONNX Runtime's operations, its fused ones too", () => {
    const once = (microseconds: number) => ({ calls: 1, microseconds })
    const kernels = {
      FusedMatMul: once(5),
      Gemm: once(6),
      SkipLayerNormalization: once(4),
      BiasGelu: once(3),
      Transpose: once(2),
      Mul: once(1)
    }
    expect(familyTimes({ program: "p", runs: 1, microseconds: 21, kernels })).toEqual([
      { family: "matrix products", calls: 2, microseconds: 11 },
      { family: "normalisation", calls: 1, microseconds: 4 },
      { family: "activations", calls: 1, microseconds: 3 },
      { family: "moving data", calls: 1, microseconds: 2 },
      { family: "elementwise", calls: 1, microseconds: 1 }
    ])
  })
})
