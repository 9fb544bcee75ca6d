/** A part of a plan: the nodes that are named and whatever they read, as in a file that has no others. */
import { nearest } from "./Nearest.ts"
import type { Plan, PlanNode } from "./Plan.ts"
import { planHash } from "./PlanHash.ts"

export interface UnknownNode {
  readonly _tag: "UnknownNode"
  readonly name: string
  readonly nearest: string | undefined
}

/** `retrain` is every `retrain[data=...]`, `web_clean` also what it stands for, `web_clean/itm`. */
const answers = (node: PlanNode, name: string): boolean => {
  const base = node.id.replace(/\[.*$/, "")
  return node.id === name || base === name || base.startsWith(`${name}/`)
}

const readBy = (node: PlanNode): ReadonlyArray<string> =>
  Object.values(node.inputs).flatMap((wires) => wires.map((wire) => wire.node))

/**
 * The plan of the nodes called `names` (with or without their variant) and of all they read, or the first name that no node
 * has. What a node computes doesn't change, so its artifacts are those of the whole plan.
 */
export const only = (plan: Plan, names: ReadonlyArray<string>): Plan | UnknownNode => {
  const wanted = new Set<string>()
  for (const name of names) {
    const found = plan.nodes.filter((node) => answers(node, name))
    const known = plan.nodes.flatMap(({ id }) => [id.replace(/\[.*$/, ""), id])
    if (found.length === 0) return { _tag: "UnknownNode", name, nearest: nearest(name, known) }
    for (const { id } of found) wanted.add(id)
  }
  // From the last to the first: whoever reads a node comes after it.
  for (const node of plan.nodes.toReversed()) if (wanted.has(node.id)) for (const id of readBy(node)) wanted.add(id)
  const nodes = plan.nodes.filter(({ id }) => wanted.has(id))
  return { ...plan, nodes, hash: planHash(nodes) }
}
