/** One node, once everything it reads has been checked: its wires, its config against them, its training graph. */
import type { Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { unknownName } from "../Nearest.ts"
import type { Registry, TrainingCheck, Wired } from "../Operator.ts"
import type { PlanNode, TrainingGraph, Wire } from "../Plan.ts"
import { type CheckedInputs, checkInputs, declaredInputs, type Read } from "./Inputs.ts"
import { find, type Names } from "./Names.ts"
import type { Node, Ref } from "./Node.ts"
import { type Outputs, resolve } from "./Outputs.ts"
import { architectureOf, artifactsOf, commonColumns, portsOf, type Reads } from "./Ports.ts"
import { checkTraining } from "./Training.ts"

export interface Checking {
  readonly registry: Registry
  readonly names: Names
  /** Of the nodes checked so far, by id. */
  readonly outputs: Map<string, Outputs>
  readonly findings: Array<Finding>
}

const readRef = (ref: Ref, node: Node, { names, outputs }: Checking): Read => {
  const read = find(ref, node.axes, names)
  const from = read.node === undefined ? undefined : outputs.get(read.node.id)
  if (read.finding !== undefined) return { ref, from, resolved: { finding: read.finding } }
  return { ref, from, resolved: from === undefined ? {} : resolve(ref, read.rest, from) }
}

const typeOf = (wire: Wire): Wired[string] => (wire._tag === "Stream" ? "rows" : wire.type)

/** The operator's own check of its config against its wires, and its training graph where it has one. */
const checkTogether = (
  { operator, decoded, place }: Node,
  { wires }: CheckedInputs,
  training: TrainingCheck | undefined,
  findings: Array<Finding>
): void => {
  if (operator.check === undefined || decoded === undefined) return
  const types = Object.entries(wires).flatMap(([name, [wire]]) => (wire === undefined ? [] : [[name, typeOf(wire)]]))
  for (const { path, message: label, known = [] } of operator.check(
    decoded.config,
    Object.fromEntries(types) as Wired,
    training
  )) {
    const key = path.at(-1) ?? ""
    const others = known.filter((name) => name !== key)
    const at = { code: "V121", message: "config and wires don't fit", ...place(path, "key"), label }
    findings.push(unknownName(at, key, others))
  }
}

/** `open`: some of the node's inputs are in error, so that a column missing in its datasets says nothing new. */
const trainingOf = (
  node: Node,
  reads: Reads,
  open: boolean,
  own: Outputs,
  { findings, registry }: Checking
): TrainingGraph | undefined => {
  const { operator, graph, minimize, decoded, place } = node
  if (operator.kind !== "train") {
    const key = graph !== undefined ? "graph" : "minimize"
    if (graph === undefined && minimize === undefined) return undefined
    const label = `${key} belongs to Train nodes`
    findings.push({ code: "V106", message: "unknown key", ...place([key], "key"), label, given: key })
    return undefined
  }
  if (decoded === undefined && graph === undefined) return undefined
  const datasets = Object.entries(declaredInputs(operator)).flatMap(([name, input]) => {
    if (typeof input === "string" || !("stream" in input)) return []
    const common = commonColumns(reads[name] ?? [], findings)
    return [[name, { ...common, open: open || common.open }] as const]
  })
  return checkTraining({ train: node, registry, datasets: new Map(datasets), architecture: own.architecture, findings })
}

/** Adds the node's outputs and findings. What it returns is a plan's node where there are no findings. */
export const checkNode = (node: Node, checking: Checking): PlanNode => {
  const { findings } = checking
  const { id, operator, decoded } = node
  const reads: Reads = Object.fromEntries(
    Object.entries(node.inputs).map(([name, { refs }]) => [name, refs.map((ref) => readRef(ref, node, checking))])
  )
  const before = findings.length
  const checked = checkInputs(node, reads, findings)
  const inError = findings.length > before
  const own: Outputs = {
    id,
    operator,
    rowSet: checked.rowSet,
    ports: portsOf(node, reads, checked, findings),
    columns: operator.kind === "map" ? (operator.outputs as Columns) : {},
    artifacts: artifactsOf(operator),
    architecture: architectureOf(node, reads)
  }
  checking.outputs.set(id, own)
  const training = trainingOf(node, reads, inError, own, checking)
  const { architecture } = own
  if (findings.length === before) checkTogether(node, checked, training && { graph: training, architecture }, findings)
  return {
    id,
    operator,
    config: decoded?.config,
    encodedConfig: decoded?.encoded,
    inputs: checked.wires,
    ...(checked.rowSet === undefined ? {} : { rowSet: checked.rowSet }),
    ports: Object.fromEntries(Object.entries(own.ports).map(([port, { columns }]) => [port, columns])),
    columns: own.columns,
    artifacts: own.artifacts,
    axes: node.axes,
    seed: node.seed,
    ...(training === undefined ? {} : { training }),
    persist: node.persist,
    on_bad_row: node.on_bad_row
  }
}
