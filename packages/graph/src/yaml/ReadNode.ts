/** A node's map to a NodeSpec: the keys every node has; whatever else it says is its operator's config. */
import type { Finding } from "../Diagnostic.ts"
import type { BadRowPolicy, NodeSpec } from "../NodeSpec.ts"
import { defaultBadRows } from "../check/Expand.ts"
import type { AnyOperator } from "../Operator.ts"
import { didYouMean } from "../Nearest.ts"
import { unknownKeys, wrongValue } from "./Mistakes.ts"
import { type Tree, type TreeMap, valueOf } from "./Tree.ts"

/** What may stand in a node besides its operator's config. */
export const nodeKeys = ["op", "in", "model", "init", "graph", "minimize", "persist", "on_bad_row"] as const
const reserved: ReadonlySet<string> = new Set(nodeKeys)

type References = string | ReadonlyArray<string>

const reference = (tree: Tree, findings: Array<Finding>): References | undefined => {
  if (tree._tag === "Scalar" && typeof tree.value === "string") return tree.value
  if (tree._tag === "List") {
    const texts = tree.items.map((item) => {
      if (item._tag === "Scalar" && typeof item.value === "string") return item.value
      findings.push(wrongValue(item, "node, node.port or node.port.column"))
      return ""
    })
    if (texts.length === 0) findings.push(wrongValue(tree, "at least one node, node.port or node.port.column"))
    return texts
  }
  findings.push(wrongValue(tree, "node, node.port or node.port.column, or a list of these"))
  return undefined
}

const readInputs = (tree: TreeMap, findings: Array<Finding>): Record<string, References> => {
  const inputs: Record<string, References> = {}
  const wired = tree.entries.get("in")?.value
  if (wired?._tag === "Map") {
    for (const [name, { value }] of wired.entries) {
      const read = reference(value, findings)
      if (read !== undefined) inputs[name] = read
    }
  } else if (wired !== undefined) findings.push(wrongValue(wired, "a map from input to node.column"))
  for (const name of ["model", "init"]) {
    const entry = tree.entries.get(name)
    if (entry === undefined) continue
    if (name in inputs) {
      findings.push({
        code: "V102",
        message: "input given twice",
        span: entry.key,
        label: `${name} already stands in "in"`
      })
    }
    const read = reference(entry.value, findings)
    if (read !== undefined) inputs[name] = read
  }
  return inputs
}

const readMinimize = (tree: Tree, findings: Array<Finding>): NodeSpec["minimize"] => {
  if (tree._tag === "Map") {
    const weights: Record<string, number> = {}
    for (const [name, { value }] of tree.entries) {
      if (value._tag === "Scalar" && typeof value.value === "number") weights[name] = value.value
      else findings.push(wrongValue(value, "a weight: a number"))
    }
    return weights
  }
  const read = reference(tree, findings)
  return typeof read === "string" ? [read] : read
}

const readBadRows = (tree: Tree, findings: Array<Finding>): BadRowPolicy => {
  if (tree._tag === "Scalar" && (tree.value === "reject" || tree.value === "stop")) {
    return { ...defaultBadRows, action: tree.value }
  }
  if (tree._tag !== "Map") {
    findings.push({
      ...wrongValue(tree, "reject, stop or { action, budget }"),
      ...didYouMean(String(valueOf(tree)), ["reject", "stop"])
    })
    return defaultBadRows
  }
  findings.push(...unknownKeys(tree, "on_bad_row", ["action", "budget"]))
  const action = tree.entries.get("action")?.value
  const budget = tree.entries.get("budget")?.value
  const actionValue = action === undefined ? "reject" : valueOf(action)
  const budgetValue = budget === undefined ? defaultBadRows.budget : valueOf(budget)
  if (actionValue !== "reject" && actionValue !== "stop") {
    findings.push({ ...wrongValue(action!, "reject or stop"), ...didYouMean(String(actionValue), ["reject", "stop"]) })
    return defaultBadRows
  }
  if (typeof budgetValue !== "number" || budgetValue < 0 || budgetValue > 1) {
    findings.push(wrongValue(budget!, "a share of the rows, from 0 to 1"))
    return defaultBadRows
  }
  return { action: actionValue, budget: budgetValue }
}

const readGraph = (tree: Tree, findings: Array<Finding>): Record<string, NodeSpec> | undefined => {
  if (tree._tag !== "Map") {
    findings.push(wrongValue(tree, "a map of nodes"))
    return undefined
  }
  const nodes: Record<string, NodeSpec> = {}
  for (const [name, { value }] of tree.entries) {
    const node = readNode(name, value, findings)
    if (node !== undefined) nodes[name] = node
  }
  return nodes
}

/** Undefined where it can't be said what the node is; the findings say why. */
export const readNode = (name: string, tree: Tree, findings: Array<Finding>): NodeSpec | undefined => {
  if (tree._tag !== "Map") {
    findings.push(wrongValue(tree, `a node: ${name}: { op: ..., in: { ... } }`))
    return undefined
  }
  const op = tree.entries.get("op")
  if (op === undefined || op.value._tag !== "Scalar" || typeof op.value.value !== "string") {
    findings.push(
      op === undefined
        ? { code: "V108", message: "missing key", span: tree.span, label: `node ${name} names no operator: op: ...` }
        : wrongValue(op.value, "the name of an operator")
    )
    return undefined
  }
  const config = Object.fromEntries(
    [...tree.entries].filter(([key]) => !reserved.has(key)).map(([key, entry]) => [key, valueOf(entry.value)])
  )
  const graph = tree.entries.get("graph")
  const minimize = tree.entries.get("minimize")
  const persist = tree.entries.get("persist")
  const badRows = tree.entries.get("on_bad_row")
  const persistValue = persist === undefined ? undefined : valueOf(persist.value)
  if (persist !== undefined && typeof persistValue !== "boolean")
    findings.push(wrongValue(persist.value, "true or false"))
  const graphNodes = graph === undefined ? undefined : readGraph(graph.value, findings)
  const minimized = minimize === undefined ? undefined : readMinimize(minimize.value, findings)
  return {
    op: op.value.value,
    in: readInputs(tree, findings),
    config,
    ...(graphNodes === undefined ? {} : { graph: graphNodes }),
    ...(minimized === undefined ? {} : { minimize: minimized }),
    ...(typeof persistValue === "boolean" ? { persist: persistValue } : {}),
    ...(badRows === undefined ? {} : { on_bad_row: readBadRows(badRows.value, findings) })
  }
}

/** An entry of `models:`: keys that are inputs of the operator (vocabulary) are wires, the rest is its config. */
export const readModel = (
  name: string,
  op: string,
  operator: AnyOperator,
  tree: Tree,
  findings: Array<Finding>
): NodeSpec | undefined => {
  if (tree._tag !== "Map") {
    findings.push(wrongValue(tree, `a model: ${name}: { architecture: ..., preset: ... }`))
    return undefined
  }
  const inputs: Record<string, References> = {}
  const config: Record<string, unknown> = {}
  for (const [key, { value }] of tree.entries) {
    if (!Object.hasOwn(operator.inputs as object, key)) config[key] = valueOf(value)
    else {
      const read = reference(value, findings)
      if (read !== undefined) inputs[key] = read
    }
  }
  return { op, in: inputs, config }
}
