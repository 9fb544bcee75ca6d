/** Looking things up in a run record: nodes by variant, a filter's two ports. */
import type { DrawnNode, RunRecord } from "@bootlace/graph"
import { baseName, placeOf } from "./Variants.ts"

/** `retrain both`: the node and its variant, whatever the seed. */
export const title = (node: DrawnNode): string => {
  const { variant } = placeOf(node.axes)
  return variant === "" ? baseName(node.id) : `${baseName(node.id)} ${variant}`
}

/** The first seed of every variant of the nodes that pass. */
export const firstSeeds = (record: RunRecord, passes: (node: DrawnNode) => boolean): ReadonlyArray<DrawnNode> =>
  [...Map.groupBy(record.graph.filter(passes), title).values()].map(([first]) => first!)

/** The stored rows of a filter's two ports. */
export const portsOf = (record: RunRecord, node: DrawnNode) => ({
  kept: record.rows.find((rows) => rows.node === node.id && rows.port === "kept"),
  rejected: record.rows.find((rows) => rows.node === node.id && rows.port === "rejected")
})

/** `n` indices spread evenly over `length`, both ends included. */
export const spread = (length: number, n: number): ReadonlyArray<number> =>
  length <= n
    ? Array.from({ length }, (_, i) => i)
    : Array.from({ length: n }, (_, i) => Math.round((i * (length - 1)) / (n - 1)))
