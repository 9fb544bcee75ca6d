/** What a graph computes, as one hash: its text and every constant's bytes. Names of the program and of values don't count. */
import { createHash } from "node:crypto"
import type { Graph } from "./Graph.ts"
import { printGraph } from "./PrintGraph.ts"

/** sha256 in hex. Equal for equal programs on equal shapes; the bytes of constants are little-endian. */
export function graphDigest(graph: Graph): string {
  const hash = createHash("sha256").update(printGraph({ ...graph, name: "" }))
  for (const { data } of graph.values) if (data !== undefined) hash.update(data)
  return hash.digest("hex")
}
