/** A plan back to YAML: everything decided, nothing left to a default, a matrix or a rewrite. Reading it again gives the same hash. */
import { defaultBadRows } from "./check/Expand.ts"
import type { NodeSpec, PipelineSpec, Reference } from "./NodeSpec.ts"
import type { Plan, PlanNode, Wire } from "./Plan.ts"

const reference = (wire: Wire): Reference => {
  if (wire._tag === "Stream") return `${wire.node}.${wire.port}`
  if (wire._tag === "Artifact") return `${wire.node}.${wire.output}`
  return wire.port === undefined ? `${wire.node}.${wire.column}` : `${wire.node}.${wire.port}.${wire.column}`
}

const specOfNode = (node: PlanNode): NodeSpec => {
  const inputs = Object.entries(node.inputs).map(([name, wires]) => {
    const references = wires.map(reference)
    return [name, references.length === 1 ? references[0]! : references] as const
  })
  const { training } = node
  const losses =
    training?.minimize.map(({ node: from, output, weight }) => [`${from}.${output}`, weight] as const) ?? []
  const minimize = losses.every(([, weight]) => weight === 1)
    ? losses.map(([loss]) => loss)
    : Object.fromEntries(losses)
  const policy = node.on_bad_row
  const usual = policy.action === defaultBadRows.action && policy.budget === defaultBadRows.budget
  return {
    op: node.operator.name,
    in: Object.fromEntries(inputs),
    config: node.encodedConfig as NodeSpec["config"],
    ...(training === undefined
      ? {}
      : { graph: Object.fromEntries(training.nodes.map((inner) => [inner.id, specOfNode(inner)])), minimize }),
    ...(node.persist ? { persist: true } : {}),
    ...(usual ? {} : { on_bad_row: policy })
  }
}

/** Each of the plan's nodes as an author could have spelled it. */
export const specOf = (plan: Plan): PipelineSpec => ({
  version: 1,
  name: plan.name,
  seed: plan.seed,
  nodes: Object.fromEntries(plan.nodes.map((node) => [node.id, specOfNode(node)]))
})

const plain = /^[A-Za-z_./][\w./+-]*$/
const notText = /^(?:true|false|null|[-+]?\.(?:inf|nan)|[-+.]?\d.*)$/i

// What a pipeline may not hold as it is.
const escaped = /[\p{Cc}\uE000-\uE002\u202A-\u202E\u2066-\u2069\uFEFF\uFFFE\uFFFF]/gu

const text = (value: string): string => {
  if (plain.test(value) && !notText.test(value)) return value
  const quoted = JSON.stringify(value.replaceAll("${", "$${"))
  return quoted.replace(escaped, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`)
}

const inline = (value: unknown): string => {
  if (typeof value === "string") return text(value)
  if (Array.isArray(value)) return `[${value.map(inline).join(", ")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return entries.length === 0 ? "{}" : `{ ${entries.map(([key, item]) => `${text(key)}: ${inline(item)}`).join(", ")} }`
}

const width = 120

const lines = (key: string, value: unknown, indent: string): ReadonlyArray<string> => {
  const line = `${indent}${text(key)}: ${inline(value)}`
  const long = line.length > width && typeof value === "object" && value !== null && !Array.isArray(value)
  if (!long) return [line]
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  return [`${indent}${text(key)}:`, ...entries.flatMap(([name, item]) => lines(name, item, `${indent}  `))]
}

/** The keys of a node in the order in which people write them; `model` and `init` stand beside `in`. */
const spelled = ({
  op,
  in: inputs,
  config,
  graph,
  minimize,
  persist,
  on_bad_row
}: NodeSpec): Record<string, unknown> => {
  const { model, init, ...rest } = inputs
  return {
    op,
    model,
    init,
    in: Object.keys(rest).length === 0 ? undefined : rest,
    ...config,
    graph:
      graph === undefined
        ? undefined
        : Object.fromEntries(Object.entries(graph).map(([name, node]) => [name, spelled(node)])),
    minimize,
    persist,
    on_bad_row
  }
}

/** YAML that `readPipeline` reads. */
export const printPipeline = ({ version, name, seed, nodes }: PipelineSpec): string =>
  [
    `version: ${version}`,
    `name: ${text(name)}`,
    `seed: ${seed}`,
    "nodes:",
    ...Object.entries(nodes).flatMap(([id, node]) => lines(id, spelled(node), "  ")),
    ""
  ].join("\n")
