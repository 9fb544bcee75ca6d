/** A plan's hash: sha256 over what its nodes mean (`Plan.hash`). */
import { canonicalJson, sha256 } from "./CanonicalJson.ts"
import type { PlanNode, Wire } from "./Plan.ts"

const wireKey = (wire: Wire): unknown =>
  wire._tag === "Stream" ? { _tag: wire._tag, node: wire.node, port: wire.port } : wire

const meaning = (node: PlanNode): unknown => ({
  id: node.id,
  op: node.operator.name,
  version: node.operator.version,
  config: node.encodedConfig,
  seed: node.seed,
  inputs: Object.fromEntries(Object.entries(node.inputs).map(([name, wires]) => [name, wires.map(wireKey)])),
  persist: node.persist,
  on_bad_row: node.on_bad_row,
  ...(node.training === undefined
    ? {}
    : { training: { nodes: node.training.nodes.map(meaning), minimize: node.training.minimize } })
})

export const planHash = (nodes: ReadonlyArray<PlanNode>): string => sha256(canonicalJson(nodes.map(meaning)))
