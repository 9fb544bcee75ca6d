/** `pipeline`: leaves and everything that they read, checked into the same plan as the same pipeline in YAML. */
import * as Effect from "effect/Effect"
import { checkPipeline } from "../check/CheckPipeline.ts"
import { type Draft, parseId, wordsFor } from "../check/Draft.ts"
import { Diagnostics, type Finding, locate } from "../Diagnostic.ts"
import type { AnyOperator, Registry } from "../Operator.ts"
import type { Plan } from "../Plan.ts"
import { type AnyNode, type Composed, specOf } from "./Node.ts"
import { buildGraph, type LossesOf } from "./Training.ts"
import { isWire, link } from "./Wire.ts"

export interface PipelineOptions {
  /** Default 0. */
  readonly seed?: number
  /** Operators that rewrites name (ITM behind a Filter with a model); those of the nodes are known anyway. */
  readonly registry?: Registry
}

/** The leaves' nodes and everything behind them, each once. */
const reachable = (leaves: ReadonlyArray<AnyNode>, findings: Array<Finding>): ReadonlyArray<Composed> => {
  const nodes = new Map<string, Composed>()
  const waiting = leaves.map((leaf) => leaf[link].node)
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    const known = nodes.get(node.id)
    if (known === node) continue
    if (known !== undefined) {
      findings.push({
        code: "V102",
        message: "name used twice",
        at: `node ${node.id}`,
        label: "two nodes have this id",
        given: node.id
      })
      continue
    }
    nodes.set(node.id, node)
    const { model, init } = node.given
    for (const wire of [...Object.values(node.given.in ?? {}), model, init].flat())
      if (isWire(wire)) waiting.push(wire[link].node)
  }
  return [...nodes.values()]
}

interface Written {
  readonly draft: Draft
  readonly operators: ReadonlyArray<AnyOperator>
}

const write = (node: Composed, findings: Array<Finding>): Written => {
  const { graph } = node.given
  const place: Draft["place"] = (path) => ({ at: wordsFor(node.id, path) })
  const spec = specOf(node)
  if (parseId(node.id) === undefined) {
    const label = "an id is a name, with its place in a matrix behind it: name[axis=value]"
    findings.push({ code: "V118", message: "bad name", at: `node ${node.id}`, label, given: node.id })
  }
  if (typeof graph !== "function") return { draft: { id: node.id, spec, place }, operators: [node.operator] }
  const built = buildGraph(node.operator, graph as () => LossesOf)
  for (const name of built.twice) {
    findings.push({
      code: "V102",
      message: "name used twice",
      ...place(["graph", name]),
      label: "two nodes have this name",
      given: name
    })
  }
  const { operators, minimize } = built
  return {
    draft: { id: node.id, spec: { ...spec, graph: built.graph, minimize }, place },
    operators: [node.operator, ...operators]
  }
}

const registryOf = (operators: ReadonlyArray<AnyOperator>, given: Registry, findings: Array<Finding>): Registry => {
  const registry: Record<string, AnyOperator> = { ...given }
  for (const operator of operators) {
    const known = Object.hasOwn(registry, operator.name) ? registry[operator.name] : undefined
    if (known !== undefined && known !== operator) {
      findings.push({
        code: "V102",
        message: "name used twice",
        at: `operator ${operator.name}`,
        label: "two operators have this name",
        given: operator.name
      })
    }
    registry[operator.name] = operator
  }
  return registry
}

/** The plan of `leaves` and of everything that they read; or everything that is wrong with it. */
export const pipeline = (
  name: string,
  { seed = 0, registry = {} }: PipelineOptions,
  leaves: ReadonlyArray<AnyNode>
): Effect.Effect<Plan, Diagnostics> =>
  Effect.suspend(() => {
    const findings: Array<Finding> = []
    const written = reachable(leaves, findings).map((node) => write(node, findings))
    const operators = registryOf(
      written.flatMap((one) => one.operators),
      registry,
      findings
    )
    const checked = checkPipeline({ name, seed, drafts: written.map(({ draft }) => draft) }, operators)
    const all = [...findings, ...checked.findings]
    return checked.plan !== undefined && all.length === 0
      ? Effect.succeed(checked.plan)
      : Effect.fail(new Diagnostics({ diagnostics: locate(all) }))
  })
