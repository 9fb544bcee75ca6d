/** Drafts to a plan: every wire resolved and typed, node after node in topological order, or every mistake there is. */
import type { Finding } from "../Diagnostic.ts"
import type { Registry } from "../Operator.ts"
import type { Axes, Plan } from "../Plan.ts"
import { planHash } from "../PlanHash.ts"
import { type Checking, checkNode } from "./CheckNode.ts"
import type { Draft } from "./Draft.ts"
import { expandDrafts } from "./Expand.ts"
import { find, type Names, namesOf } from "./Names.ts"
import type { Node } from "./Node.ts"
import { topological } from "./Order.ts"

const cycleFinding = (cycle: ReadonlyArray<string>, names: Names): Finding => {
  const reader = names.byId.get(cycle[1]!)!
  const ref = Object.values(reader.inputs)
    .flatMap(({ refs }) => refs)
    .find((one) => find(one, reader.axes, names).node?.id === cycle[0])
  const itself = cycle.length === 2
  const label = itself ? `node ${cycle[0]} reads itself` : cycle.join(" -> ")
  return { code: "V115", message: itself ? "self wire" : "cycle", ...(ref?.where ?? reader.place([])), label }
}

export interface Checked {
  readonly plan: Plan | undefined
  readonly findings: ReadonlyArray<Finding>
}

/** A plan only where there is nothing to report. `lost` are names whose nodes could not be read. */
export const checkPipeline = (
  pipeline: {
    readonly name: string
    readonly seed: number
    readonly axes?: Axes
    readonly drafts: ReadonlyArray<Draft>
    readonly lost?: ReadonlySet<string>
  },
  registry: Registry
): Checked => {
  const findings: Array<Finding> = []
  const nodes: Array<Node> = []
  const lost = new Set(pipeline.lost)
  expandDrafts(pipeline.drafts, { registry, seed: pipeline.seed, findings, nodes, lost })
  const names = namesOf(nodes, lost)
  const reads = new Map(
    nodes.map((node) => {
      const read = Object.values(node.inputs).flatMap(({ refs }) =>
        refs.flatMap((ref) => find(ref, node.axes, names).node?.id ?? [])
      )
      return [node.id, read]
    })
  )
  const { order, cycle } = topological([...reads.keys()], (id) => reads.get(id)!)
  if (cycle !== undefined) findings.push(cycleFinding(cycle, names))
  const done = new Set(order)
  const rest = [...reads.keys()].filter((id) => !done.has(id)).sort()
  const checking: Checking = { registry, names, outputs: new Map(), findings }
  const planned = [...order, ...rest].map((id) => checkNode(names.byId.get(id)!, checking))
  if (findings.length > 0) return { plan: undefined, findings }
  const hash = planHash(planned)
  return {
    plan: { name: pipeline.name, seed: pipeline.seed, axes: pipeline.axes ?? {}, nodes: planned, hash },
    findings
  }
}
