import { it } from "@effect/vitest"
import * as fc from "fast-check"
import { assert, describe } from "vitest"
import { layout } from "../src/DagLayout.ts"
import type { GraphEdge, GraphNode } from "../src/DagLayout.ts"

const box = (id: string): GraphNode => ({ id, width: 100, height: 40 })
const edge = (from: string, to: string, port = "rows"): GraphEdge => ({ from, to, port })

const acyclic = fc.integer({ min: 1, max: 50 }).chain((n) =>
  fc.array(fc.tuple(fc.nat(n - 1), fc.nat(n - 1)), { maxLength: 2 * n }).map((pairs) => ({
    nodes: Array.from({ length: n }, (_, i) => box(`n${i}`)),
    edges: pairs.flatMap(([a, b]) => (a === b ? [] : [edge(`n${Math.min(a, b)}`, `n${Math.max(a, b)}`, `p${a % 3}`)]))
  }))
)

describe("DagLayout", () => {
  it("puts a diamond into three layers, symmetric, without crossings", () => {
    const { nodes } = layout(["a", "b", "c", "d"].map(box), [
      edge("a", "b"),
      edge("a", "c"),
      edge("b", "d"),
      edge("c", "d")
    ])
    const at = Object.fromEntries(nodes.map((node) => [node.id, node]))
    assert.deepStrictEqual(
      nodes.map((node) => node.layer),
      [0, 1, 1, 2]
    )
    assert.approximately(at["a"]!.x, at["d"]!.x, 1e-6)
    assert.approximately((at["b"]!.x + at["c"]!.x) / 2, at["a"]!.x, 1e-6)
  })

  it("uncrosses two crossed pairs", () => {
    const { nodes } = layout(["a", "b", "c", "d"].map(box), [edge("a", "d"), edge("b", "c")])
    const x = Object.fromEntries(nodes.map((node) => [node.id, node.x]))
    assert.isTrue(x["a"]! < x["b"]! === x["d"]! < x["c"]!)
  })

  it("never overlaps two boxes, points every edge down and stays on the paper", () => {
    fc.assert(
      fc.property(acyclic, ({ nodes, edges }) => {
        const made = layout(nodes, edges)
        for (const node of made.nodes) {
          assert.isAtLeast(node.x - node.width / 2, -1e-6)
          assert.isAtMost(node.x + node.width / 2, made.width + 1e-6)
          assert.isAtMost(node.y + node.height / 2, made.height + 1e-6)
          for (const other of made.nodes)
            if (other !== node && other.layer === node.layer) assert.isAtLeast(Math.abs(node.x - other.x), 100)
        }
        for (const each of made.edges) {
          const ys = each.points.map(([, y]) => y)
          assert.deepStrictEqual(
            ys,
            ys.toSorted((a, b) => a - b)
          )
        }
      }),
      { numRuns: 60 }
    )
  })
})
