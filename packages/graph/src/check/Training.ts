/** The graph inside a Train node: the same operators with their training ports, on the columns of the node's own datasets. */
import type { ColumnType, Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
import type { NodeSpec } from "../NodeSpec.ts"
import type { Inputs, Registry } from "../Operator.ts"
import type { PlanNode, TrainingGraph, Wire } from "../Plan.ts"
import { decodeConfig } from "./Config.ts"
import { namePattern, nameRule, type Place, part } from "./Draft.ts"
import { defaultBadRows } from "./Expand.ts"
import { columnOf, isOptional } from "./Inputs.ts"
import type { Node } from "./Node.ts"
import { topological } from "./Order.ts"

interface Context {
  readonly train: Node
  readonly registry: Registry
  /** By input name: the columns common to everything wired into it. */
  readonly datasets: ReadonlyMap<string, { readonly columns: Columns; readonly open: boolean }>
  readonly architecture: string | undefined
  readonly findings: Array<Finding>
}

interface Inner {
  readonly name: string
  readonly spec: NodeSpec
  readonly place: Place
}

const listed = (names: Iterable<string>): string => [...names].join(", ") || "nothing"

/** A reference inside the graph: a dataset's column or another node's output. */
const resolveInner = (
  text: string,
  where: ReturnType<Place>,
  inner: ReadonlyMap<string, Inner>,
  context: Context
): Wire | undefined => {
  const { datasets, registry, findings } = context
  const [node = "", column, ...more] = text.split(".")
  const dataset = datasets.get(node)
  const operator = inner.has(node) ? registry[inner.get(node)!.spec.op] : undefined
  const columns: Columns | undefined = dataset?.columns ?? operator?.training?.outputs
  if (dataset === undefined && !inner.has(node)) {
    const known = [...datasets.keys(), ...inner.keys()]
    const label = `inside this graph there are: ${listed(known)}`
    findings.push({
      code: "V103",
      message: "unknown node",
      ...part(where, 0, node.length),
      label,
      given: node,
      ...didYouMean(node, known)
    })
    return undefined
  }
  if (columns === undefined) return undefined
  if (column === undefined || more.length > 0) {
    const hint = `say which: ${Object.keys(columns)
      .map((name) => `${node}.${name}`)
      .join(" or ")}`
    findings.push({
      code: "V114",
      message: "column missing",
      ...where,
      label: `inside a graph a reference is node.column`,
      hint
    })
    return undefined
  }
  const type = Object.hasOwn(columns, column) ? columns[column] : undefined
  if (type !== undefined) return { _tag: "Column", node, column, type }
  if (dataset?.open === true) return undefined
  const label = `${node} gives: ${listed(Object.keys(columns))}`
  const at = part(where, node.length + 1, column.length)
  findings.push({
    code: "V104",
    message: "unknown column",
    ...at,
    label,
    given: column,
    ...didYouMean(column, Object.keys(columns), `${node}.`)
  })
  return undefined
}

const checkInnerInputs = (
  { spec, place }: Inner,
  inner: ReadonlyMap<string, Inner>,
  context: Context
): Record<string, ReadonlyArray<Wire>> => {
  const { registry, findings } = context
  const operator = registry[spec.op]!
  const declared: Inputs = operator.training!.inputs
  const wires: Record<string, ReadonlyArray<Wire>> = {}
  for (const [name, input] of Object.entries(declared)) {
    if (isOptional(input) || Object.hasOwn(spec.in, name)) continue
    const label = `${operator.name} needs ${name}: a column of type ${columnOf(input) ?? "?"} (in a training graph)`
    findings.push({ code: "V110", message: "missing input", ...place(["op"]), label, hint: `add in: { ${name}: ... }` })
  }
  for (const [name, given] of Object.entries(spec.in)) {
    if (!Object.hasOwn(declared, name)) {
      const model = name === "model" || name === "init"
      const label = model
        ? "inside a graph every operator has the model that is trained"
        : `${operator.name} takes here: ${listed(Object.keys(declared))}`
      findings.push({
        code: "V111",
        message: "unknown input",
        ...place(["in", name], "key"),
        label,
        given: name,
        ...didYouMean(name, Object.keys(declared))
      })
      continue
    }
    const texts = typeof given === "string" ? [given] : given
    const where = (i: number): ReturnType<Place> => place(typeof given === "string" ? ["in", name] : ["in", name, i])
    wires[name] = texts.flatMap((text, i) => {
      const wire = resolveInner(text, where(i), inner, context)
      const type: ColumnType | undefined = columnOf(declared[name]!)
      if (wire?._tag === "Column" && type !== undefined && wire.type !== type) {
        const label = `expected a column of type ${type}, got ${wire.type}`
        findings.push({ code: "V112", message: "wrong type", ...where(i), label, expected: type, given: wire.type })
      }
      return wire ?? []
    })
  }
  return wires
}

/** False where the operator can't stand here; the findings say why. */
const canTrain = ({ spec, place }: Inner, { registry, findings, architecture }: Context): boolean => {
  const operator = Object.hasOwn(registry, spec.op) ? registry[spec.op] : undefined
  if (operator === undefined) {
    const names = Object.keys(registry).filter((name) => registry[name]!.training !== undefined)
    const label = `no operator ${spec.op}; here may stand: ${listed(names)}`
    findings.push({
      code: "V105",
      message: "unknown operator",
      ...place(["op"]),
      label,
      given: spec.op,
      ...didYouMean(spec.op, names)
    })
    return false
  }
  if (operator.training === undefined) {
    const names = Object.keys(registry).filter((name) => registry[name]!.training !== undefined)
    findings.push({
      code: "V117",
      message: "not differentiable",
      ...place(["op"]),
      label: `${spec.op} has no place in a training graph; here may stand: ${listed(names)}`
    })
    return false
  }
  if (
    operator.model !== undefined &&
    architecture !== undefined &&
    !(operator.model as ReadonlyArray<string>).includes(architecture)
  ) {
    const label = `${spec.op} takes a model of architecture ${operator.model.join(" or ")}; this node trains ${architecture}`
    findings.push({ code: "V116", message: "wrong architecture", ...place(["op"]), label })
  }
  return true
}

const planInner = (inner: Inner, all: ReadonlyMap<string, Inner>, context: Context): PlanNode | undefined => {
  if (!canTrain(inner, context)) return undefined
  const operator = context.registry[inner.spec.op]!
  const decoded = decodeConfig(operator, inner.spec.config, inner.place, context.findings)
  const inputs = checkInnerInputs(inner, all, context)
  return {
    id: inner.name,
    operator,
    config: decoded?.config,
    encodedConfig: decoded?.encoded,
    inputs,
    ports: {},
    columns: operator.training!.outputs,
    artifacts: {},
    axes: context.train.axes,
    seed: context.train.seed,
    persist: false,
    on_bad_row: defaultBadRows
  }
}

type Minimized = TrainingGraph["minimize"][number]

/** Losses in the graph's order, whatever the order they are spelled in; every loss where none is named. */
const minimized = (
  nodes: ReadonlyArray<PlanNode>,
  whole: boolean,
  { train, findings }: Context
): ReadonlyArray<Minimized> => {
  const losses = nodes.flatMap((node) =>
    Object.keys(node.columns)
      .filter((name) => node.columns[name] === "loss")
      .map((output) => `${node.id}.${output}`)
  )
  const spelled = train.minimize
  const weights: Record<string, number> =
    spelled === undefined
      ? Object.fromEntries(losses.map((loss) => [loss, 1]))
      : Array.isArray(spelled)
        ? Object.fromEntries((spelled as ReadonlyArray<string>).map((loss) => [loss, 1]))
        : (spelled as Record<string, number>)
  for (const [i, loss] of Object.keys(weights).entries()) {
    if (losses.includes(loss) || !whole) continue
    const where = train.place(
      Array.isArray(spelled) ? ["minimize", i] : ["minimize", loss],
      Array.isArray(spelled) ? undefined : "key"
    )
    findings.push({
      code: "V117",
      message: "not a loss",
      ...where,
      label: `losses of this graph: ${listed(losses)}`,
      given: loss,
      ...didYouMean(loss, losses)
    })
  }
  if (losses.length === 0 && whole) {
    findings.push({
      code: "V117",
      message: "nothing to minimize",
      ...train.place(["graph"], "key"),
      label: "no node of this graph has a loss"
    })
  }
  return losses.flatMap((loss) => {
    const [node = "", output = ""] = loss.split(".")
    return Object.hasOwn(weights, loss) ? [{ node, output, weight: weights[loss]! }] : []
  })
}

/** Undefined where the node has no graph at all. */
export const checkTraining = (context: Context): TrainingGraph | undefined => {
  const { train, datasets, findings } = context
  if (train.graph === undefined) {
    const label = `${train.operator.name} needs objectives: [...] or a graph: { ... }`
    findings.push({ code: "V117", message: "nothing to train", ...train.place(["op"]), label })
    return undefined
  }
  const inner = new Map<string, Inner>()
  for (const [name, spec] of Object.entries(train.graph)) {
    const place: Place = (path, at) => {
      const [head, second] = path
      const beside = head === "in" && (second === "model" || second === "init")
      return train.place(["graph", name, ...(beside ? path.slice(1) : path)], at)
    }
    if (datasets.has(name)) {
      findings.push({
        code: "V102",
        message: "name used twice",
        ...train.place(["graph", name], "key"),
        label: `${name} is already an input of this node`
      })
    } else if (!namePattern.test(name)) {
      const where = train.place(["graph", name], "key")
      findings.push({ code: "V118", message: "bad name", ...where, label: nameRule, given: name })
    } else inner.set(name, { name, spec, place })
  }
  const reads = (name: string): ReadonlyArray<string> =>
    Object.values(inner.get(name)!.spec.in)
      .flat()
      .map((text) => text.split(".", 1)[0]!)
      .filter((read) => inner.has(read))
  const { order, cycle } = topological([...inner.keys()], reads)
  if (cycle !== undefined) {
    findings.push({
      code: "V115",
      message: "cycle",
      ...train.place(["graph", cycle[0]!], "key"),
      label: cycle.join(" -> ")
    })
  }
  const planned = order.map((name) => planInner(inner.get(name)!, inner, context))
  const nodes = planned.filter((node) => node !== undefined)
  return { nodes, minimize: minimized(nodes, nodes.length === inner.size, context) }
}
