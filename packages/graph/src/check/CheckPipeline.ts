/** Drafts to a plan: every wire resolved and typed, node after node in topological order, or every mistake there is. */
import { canonicalJson, sha256 } from "../CanonicalJson.ts"
import type { ArtifactType, Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
import type { AnyOperator, Registry, Wired } from "../Operator.ts"
import type { Plan, PlanNode, Wire } from "../Plan.ts"
import type { Draft } from "./Draft.ts"
import { expandDrafts } from "./Expand.ts"
import { type CheckedInputs, checkInputs, declaredInputs, type Read } from "./Inputs.ts"
import { find, type Names, namesOf } from "./Names.ts"
import type { Node, Ref } from "./Node.ts"
import { topological } from "./Order.ts"
import { type Outputs, type PortColumns, resolve } from "./Outputs.ts"
import { checkTraining } from "./Training.ts"

interface Checking {
  readonly registry: Registry
  readonly names: Names
  readonly outputs: Map<string, Outputs>
  readonly findings: Array<Finding>
}

const readRef = (ref: Ref, node: Node, { names, outputs }: Checking): Read => {
  const read = find(ref, node.axes, names)
  const from = read.node === undefined ? undefined : outputs.get(read.node.id)
  if (read.finding !== undefined) return { ref, from, resolved: { finding: read.finding } }
  return { ref, from, resolved: from === undefined ? {} : resolve(ref, read.rest, from) }
}

/** The columns that every one of these streams has, and a finding for each that has two types. */
const common = (reads: ReadonlyArray<Read>, findings: Array<Finding>): PortColumns => {
  const streams = reads.flatMap((read) =>
    read.resolved.wire?._tag === "Stream" ? [{ read, wire: read.resolved.wire }] : []
  )
  const open = streams.length < reads.length || streams.some(({ read, wire }) => read.from!.ports[wire.port]!.open)
  const columns: Record<string, Columns[string]> = {}
  const [first, ...others] = streams
  for (const [name, type] of Object.entries(first?.wire.columns ?? {})) {
    const clash = others.find(({ wire }) => Object.hasOwn(wire.columns, name) && wire.columns[name] !== type)
    if (clash !== undefined) {
      const label = `column ${name} is ${clash.wire.columns[name]} here, ${type} in ${first!.wire.node}.${first!.wire.port}`
      findings.push({ code: "V112", message: "wrong type", ...clash.read.ref.where, label })
    }
    if (others.every(({ wire }) => Object.hasOwn(wire.columns, name))) columns[name] = type
  }
  return { columns, open }
}

const streamsOf = (reads: Readonly<Record<string, ReadonlyArray<Read>>>): ReadonlyArray<Read> =>
  Object.values(reads).flat()

const sourcePorts = (
  operator: AnyOperator & { readonly kind: "source" },
  node: Node
): Readonly<Record<string, PortColumns>> => {
  const ports: Readonly<Record<string, Columns>> = operator.ports
  const further = node.decoded === undefined ? undefined : operator.portsFor?.(node.decoded.config)
  const open = node.decoded === undefined && operator.portsFor !== undefined
  return Object.fromEntries(
    Object.entries(ports).map(([port, columns]) => [port, { columns: { ...columns, ...further?.[port] }, open }])
  )
}

/** The row sets a node starts. */
const portsOf = (
  node: Node,
  reads: Readonly<Record<string, ReadonlyArray<Read>>>,
  { passed }: CheckedInputs,
  findings: Array<Finding>
): Readonly<Record<string, PortColumns>> => {
  const { operator } = node
  switch (operator.kind) {
    case "source":
      return sourcePorts(operator, node)
    case "route":
      return Object.fromEntries((operator.ports as ReadonlyArray<string>).map((port) => [port, passed]))
    case "expand":
      return { rows: { columns: { ...passed.columns, ...(operator.outputs as Columns) }, open: passed.open } }
    case "union":
      return { rows: common(streamsOf(reads), findings) }
    default:
      return {}
  }
}

const artifactsOf = (operator: AnyOperator): Readonly<Record<string, ArtifactType>> =>
  operator.kind === "fold" || operator.kind === "train"
    ? (operator.outputs as Readonly<Record<string, ArtifactType>>)
    : {}

/** The model's architecture is said by the config that makes it, else it is that of the model it starts from. */
const architecture = (node: Node, reads: Readonly<Record<string, ReadonlyArray<Read>>>): string | undefined => {
  if (!Object.values(artifactsOf(node.operator)).includes("model")) return undefined
  const config = node.decoded?.config as { readonly architecture?: unknown } | undefined
  if (typeof config?.architecture === "string") return config.architecture
  return streamsOf(reads).find(
    (read) => read.resolved.wire?._tag === "Artifact" && read.from?.architecture !== undefined
  )?.from?.architecture
}

const typeOf = (wire: Wire): Wired[string] => (wire._tag === "Stream" ? "rows" : wire.type)

/** The operator's own check of its config against its wires. */
const checkTogether = (
  { operator, decoded, place }: Node,
  { wires }: CheckedInputs,
  findings: Array<Finding>
): void => {
  if (operator.check === undefined || decoded === undefined) return
  const wired: Wired = Object.fromEntries(
    Object.entries(wires).flatMap(([name, [wire]]) => (wire === undefined ? [] : [[name, typeOf(wire)]]))
  )
  for (const { path, message, known = [] } of operator.check(decoded.config, wired)) {
    const key = path.at(-1) ?? ""
    const hint = didYouMean(
      key,
      known.filter((name) => name !== key)
    )
    findings.push({
      code: "V121",
      message: "config and wires don't fit",
      ...place(path, "key"),
      label: message,
      given: key,
      ...hint
    })
  }
}

const checkNode = (node: Node, checking: Checking): PlanNode => {
  const { findings, registry } = checking
  const { operator, decoded } = node
  const reads = Object.fromEntries(
    Object.entries(node.inputs).map(([name, { refs }]) => [name, refs.map((ref) => readRef(ref, node, checking))])
  )
  const before = findings.length
  const checked = checkInputs(node, reads, findings)
  const inError = findings.length > before
  if (!inError) checkTogether(node, checked, findings)
  const ports = portsOf(node, reads, checked, findings)
  const columns = operator.kind === "map" ? (operator.outputs as Columns) : {}
  const own = {
    id: node.id,
    operator,
    rowSet: checked.rowSet,
    ports,
    columns,
    artifacts: artifactsOf(operator),
    architecture: architecture(node, reads)
  }
  checking.outputs.set(node.id, own)
  const streams = Object.entries(declaredInputs(operator)).flatMap(([name, input]) =>
    typeof input !== "string" && "stream" in input ? [[name, reads[name] ?? []] as const] : []
  )
  const training =
    operator.kind === "train" && (decoded !== undefined || node.graph !== undefined)
      ? checkTraining({
          train: node,
          registry,
          datasets: new Map(
            streams.map(([name, all]) => [name, { ...common(all, findings), ...(inError ? { open: true } : {}) }])
          ),
          architecture: own.architecture,
          findings
        })
      : undefined
  if (operator.kind !== "train" && (node.graph !== undefined || node.minimize !== undefined)) {
    const key = node.graph === undefined ? "minimize" : "graph"
    findings.push({
      code: "V106",
      message: "unknown key",
      ...node.place([key], "key"),
      label: `${key} belongs to Train nodes`,
      given: key
    })
  }
  return {
    id: node.id,
    operator,
    config: decoded?.config,
    encodedConfig: decoded?.encoded,
    inputs: checked.wires,
    ...(checked.rowSet === undefined ? {} : { rowSet: checked.rowSet }),
    ports: Object.fromEntries(Object.entries(ports).map(([port, of]) => [port, of.columns])),
    columns,
    artifacts: own.artifacts,
    axes: node.axes,
    seed: node.seed,
    ...(training === undefined ? {} : { training }),
    persist: node.persist,
    on_bad_row: node.on_bad_row
  }
}

const cycleFinding = (cycle: ReadonlyArray<string>, names: Names): Finding => {
  const reader = names.byId.get(cycle[1]!)!
  const ref = Object.values(reader.inputs)
    .flatMap(({ refs }) => refs)
    .find((one) => find(one, reader.axes, names).node?.id === cycle[0])
  const itself = cycle.length === 2
  const label = itself ? `node ${cycle[0]} reads itself` : cycle.join(" -> ")
  return { code: "V115", message: itself ? "self wire" : "cycle", ...(ref?.where ?? reader.place([])), label }
}

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

export interface Checked {
  readonly plan: Plan | undefined
  readonly findings: ReadonlyArray<Finding>
}

/** A plan only where there is nothing to report. `lost` are names whose nodes could not be read. */
export const checkPipeline = (
  pipeline: {
    readonly name: string
    readonly seed: number
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
  const hash = sha256(canonicalJson(planned.map(meaning)))
  return { plan: { name: pipeline.name, seed: pipeline.seed, nodes: planned, hash }, findings }
}
