/** The graph inside a Train node: the same operators with their training ports, on the columns of the node's own datasets. */
import type { Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
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

/** A reference inside the graph: a dataset's column or another node's output; or what is wrong with it, if nothing else has said so. */
const resolveInner = (
  text: string,
  where: ReturnType<Place>,
  inner: ReadonlyMap<string, Inner>,
  { datasets, registry }: Context
): { readonly wire?: Wire; readonly finding?: Finding } => {
  const [node = "", column, ...more] = text.split(".")
  const dataset = datasets.get(node)
  const spec = inner.get(node)?.spec
  if (dataset === undefined && spec === undefined) {
    const known = [...datasets.keys(), ...inner.keys()]
    const at = part(where, 0, node.length)
    const label = `inside this graph there are: ${listed(known)}`
    return { finding: unknownName({ code: "V103", message: "unknown node", ...at, label }, node, known) }
  }
  const columns = dataset?.columns ?? (spec === undefined ? undefined : registry[spec.op]?.training?.outputs)
  if (columns === undefined) return {}
  const names = Object.keys(columns)
  if (column === undefined || more.length > 0) {
    const hint = `say which: ${names.map((name) => `${node}.${name}`).join(" or ")}`
    const label = "inside a graph a reference is node.column"
    return { finding: { code: "V114", message: "column missing", ...where, label, hint } }
  }
  const type = Object.hasOwn(columns, column) ? columns[column] : undefined
  if (type !== undefined) return { wire: { _tag: "Column", node, column, type } }
  if (dataset?.open === true) return {}
  const at = part(where, node.length + 1, column.length)
  const label = `${node} gives: ${listed(names)}`
  return { finding: unknownName({ code: "V104", message: "unknown column", ...at, label }, column, names, `${node}.`) }
}

const missingInputs = ({ spec, place }: Inner, name: string, declared: Inputs): ReadonlyArray<Finding> =>
  Object.entries(declared).flatMap(([input, of]) => {
    if (isOptional(of) || Object.hasOwn(spec.in, input)) return []
    const label = `${name} needs ${input}: a column of type ${columnOf(of) ?? "?"} (in a training graph)`
    return [{ code: "V110", message: "missing input", ...place(["op"]), label, hint: `add in: { ${input}: ... }` }]
  })

const unknownInput = ({ place }: Inner, operator: string, input: string, declared: Inputs): Finding => {
  const known = Object.keys(declared)
  const isModel = input === "model" || input === "init"
  const takes = `${operator} takes here: ${listed(known)}`
  const label = isModel ? "inside a graph every operator has the model that is trained" : takes
  return unknownName({ code: "V111", message: "unknown input", ...place(["in", input], "key"), label }, input, known)
}

const checkInnerInputs = (
  node: Inner,
  inner: ReadonlyMap<string, Inner>,
  context: Context
): Record<string, ReadonlyArray<Wire>> => {
  const { registry, findings } = context
  const { spec, place } = node
  const operator = registry[spec.op]!
  const declared: Inputs = operator.training!.inputs
  const wires: Record<string, ReadonlyArray<Wire>> = {}
  findings.push(...missingInputs(node, operator.name, declared))
  for (const [name, given] of Object.entries(spec.in)) {
    if (!Object.hasOwn(declared, name)) {
      findings.push(unknownInput(node, operator.name, name, declared))
      continue
    }
    const type = columnOf(declared[name]!)
    const texts = typeof given === "string" ? [given] : given
    wires[name] = texts.flatMap((text, i) => {
      const where = place(typeof given === "string" ? ["in", name] : ["in", name, i])
      const { wire, finding } = resolveInner(text, where, inner, context)
      if (finding !== undefined) findings.push(finding)
      if (wire?._tag === "Column" && type !== undefined && wire.type !== type) {
        const label = `expected a column of type ${type}, got ${wire.type}`
        findings.push({ code: "V112", message: "wrong type", ...where, label, expected: type, given: wire.type })
      }
      return wire ?? []
    })
  }
  return wires
}

/** False where the operator can't stand here; the findings say why. */
const canTrain = ({ spec, place }: Inner, { registry, findings, architecture }: Context): boolean => {
  const operator = Object.hasOwn(registry, spec.op) ? registry[spec.op] : undefined
  const at = place(["op"])
  if (operator?.training === undefined) {
    const names = Object.keys(registry).filter((name) => registry[name]!.training !== undefined)
    const may = `here may stand: ${listed(names)}`
    const unknown = { code: "V105", message: "unknown operator", ...at, label: `no operator ${spec.op}; ${may}` }
    const label = `${spec.op} has no place in a training graph; ${may}`
    findings.push(
      operator === undefined
        ? unknownName(unknown, spec.op, names)
        : { code: "V117", message: "not differentiable", ...at, label }
    )
    return false
  }
  const models: ReadonlyArray<string> | undefined = operator.model
  if (models !== undefined && architecture !== undefined && !models.includes(architecture)) {
    const label = `${spec.op} takes a model of architecture ${models.join(" or ")}; this node trains ${architecture}`
    findings.push({ code: "V116", message: "wrong architecture", ...at, label })
  }
  return true
}

const planInner = (inner: Inner, all: ReadonlyMap<string, Inner>, context: Context): PlanNode | undefined => {
  if (!canTrain(inner, context)) return undefined
  const operator = context.registry[inner.spec.op]!
  const decoded = decodeConfig(operator, inner.spec.config, inner.place, context.findings)
  return {
    id: inner.name,
    operator,
    config: decoded?.config,
    encodedConfig: decoded?.encoded,
    inputs: checkInnerInputs(inner, all, context),
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

const weightsOf = (spelled: Node["minimize"], losses: ReadonlyArray<string>): Readonly<Record<string, number>> => {
  const isList = (value: Node["minimize"]): value is ReadonlyArray<string> => Array.isArray(value)
  const named = spelled === undefined ? losses : isList(spelled) ? spelled : undefined
  return named === undefined
    ? (spelled as Readonly<Record<string, number>>)
    : Object.fromEntries(named.map((loss) => [loss, 1]))
}

/** Losses in the graph's order, whatever the order they are spelled in; every loss where none is named. */
const minimized = (
  nodes: ReadonlyArray<PlanNode>,
  whole: boolean,
  { train, findings }: Context
): ReadonlyArray<Minimized> => {
  const losses = nodes.flatMap(({ id, columns }) =>
    Object.keys(columns).flatMap((name) => (columns[name] === "loss" ? [`${id}.${name}`] : []))
  )
  const weights = weightsOf(train.minimize, losses)
  const isList = Array.isArray(train.minimize)
  for (const [i, loss] of Object.keys(weights).entries()) {
    if (losses.includes(loss) || !whole) continue
    const where = isList ? train.place(["minimize", i]) : train.place(["minimize", loss], "key")
    const label = `losses of this graph: ${listed(losses)}`
    findings.push(unknownName({ code: "V117", message: "not a loss", ...where, label }, loss, losses))
  }
  if (losses.length === 0 && whole) {
    const label = "no node of this graph has a loss"
    findings.push({ code: "V117", message: "nothing to minimize", ...train.place(["graph"], "key"), label })
  }
  return losses.flatMap((loss) => {
    const [node = "", output = ""] = loss.split(".")
    return Object.hasOwn(weights, loss) ? [{ node, output, weight: weights[loss]! }] : []
  })
}

/** The nodes by name, where their names are names and are free. */
const innerNodes = (
  graph: NonNullable<NodeSpec["graph"]>,
  { train, datasets, findings }: Context
): Map<string, Inner> => {
  const inner = new Map<string, Inner>()
  for (const [name, spec] of Object.entries(graph)) {
    const key = train.place(["graph", name], "key")
    const place: Place = (path, at) => {
      const beside = path[0] === "in" && (path[1] === "model" || path[1] === "init")
      return train.place(["graph", name, ...(beside ? path.slice(1) : path)], at)
    }
    if (datasets.has(name)) {
      const label = `${name} is already an input of this node`
      findings.push({ code: "V102", message: "name used twice", ...key, label })
    } else if (!namePattern.test(name)) {
      findings.push({ code: "V118", message: "bad name", ...key, label: nameRule, given: name })
    } else inner.set(name, { name, spec, place })
  }
  return inner
}

/** Undefined where the node has no graph at all. */
export const checkTraining = (context: Context): TrainingGraph | undefined => {
  const { train, findings } = context
  if (train.graph === undefined) {
    const label = `${train.operator.name} needs objectives: [...] or a graph: { ... }`
    findings.push({ code: "V117", message: "nothing to train", ...train.place(["op"]), label })
    return undefined
  }
  const inner = innerNodes(train.graph, context)
  const reads = (name: string): ReadonlyArray<string> => {
    const texts = Object.values(inner.get(name)!.spec.in).flat()
    return texts.map((text) => text.split(".", 1)[0]!).filter((read) => inner.has(read))
  }
  const { order, cycle } = topological([...inner.keys()], reads)
  if (cycle !== undefined) {
    const where = train.place(["graph", cycle[0]!], "key")
    findings.push({ code: "V115", message: "cycle", ...where, label: cycle.join(" -> ") })
  }
  const nodes = order.flatMap((name) => planInner(inner.get(name)!, inner, context) ?? [])
  return { nodes, minimize: minimized(nodes, nodes.length === inner.size, context) }
}
