/** What a node offers, from its operator and what is wired: the row sets it starts, its artifacts, the architecture of its model. */
import type { ArtifactType, ColumnType, Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import type { AnyOperator } from "../Operator.ts"
import type { CheckedInputs, Read } from "./Inputs.ts"
import type { Node } from "./Node.ts"
import type { PortColumns } from "./Outputs.ts"

/** By input name, what each of its references was found to be. */
export type Reads = Readonly<Record<string, ReadonlyArray<Read>>>

type Ports = Readonly<Record<string, PortColumns>>

/** The columns that every one of these streams has, and a finding for each that has two types. */
export const commonColumns = (reads: ReadonlyArray<Read>, findings: Array<Finding>): PortColumns => {
  const streams = reads.flatMap(({ ref, from, resolved: { wire } }) =>
    wire?._tag === "Stream" ? [{ ref, wire, open: from!.ports[wire.port]!.open }] : []
  )
  const columns: Record<string, ColumnType> = {}
  const [first, ...others] = streams
  for (const [name, type] of Object.entries(first?.wire.columns ?? {})) {
    const holding = others.filter(({ wire }) => Object.hasOwn(wire.columns, name))
    const clash = holding.find(({ wire }) => wire.columns[name] !== type)
    if (clash !== undefined) {
      const label = `column ${name} is ${clash.wire.columns[name]} here, ${type} in ${first!.wire.node}.${first!.wire.port}`
      findings.push({ code: "V112", message: "wrong type", ...clash.ref.where, label })
    }
    if (holding.length === others.length) columns[name] = type
  }
  return { columns, open: streams.length < reads.length || streams.some(({ open }) => open) }
}

const sourcePorts = (operator: AnyOperator & { readonly kind: "source" }, { decoded }: Node): Ports => {
  const ports: Readonly<Record<string, Columns>> = operator.ports
  const further = decoded === undefined ? undefined : operator.portsFor?.(decoded.config)
  const open = decoded === undefined && operator.portsFor !== undefined
  return Object.fromEntries(
    Object.entries(ports).map(([port, columns]) => [port, { columns: { ...columns, ...further?.[port] }, open }])
  )
}

/** The row sets a node starts. */
export const portsOf = (node: Node, reads: Reads, { passed }: CheckedInputs, findings: Array<Finding>): Ports => {
  const { operator } = node
  switch (operator.kind) {
    case "source":
      return sourcePorts(operator, node)
    case "route":
      return Object.fromEntries((operator.ports as ReadonlyArray<string>).map((port) => [port, passed]))
    case "expand":
      return { rows: { columns: { ...passed.columns, ...(operator.outputs as Columns) }, open: passed.open } }
    case "union":
      return { rows: commonColumns(Object.values(reads).flat(), findings) }
    default:
      return {}
  }
}

export const artifactsOf = (operator: AnyOperator): Readonly<Record<string, ArtifactType>> =>
  operator.kind === "fold" || operator.kind === "train"
    ? (operator.outputs as Readonly<Record<string, ArtifactType>>)
    : {}

/** The model's architecture is said by the config that makes it, else it is that of the model it starts from. */
export const architectureOf = (node: Node, reads: Reads): string | undefined => {
  if (!Object.values(artifactsOf(node.operator)).includes("model")) return undefined
  const config = node.decoded?.config as { readonly architecture?: unknown } | undefined
  if (typeof config?.architecture === "string") return config.architecture
  const models = Object.values(reads)
    .flat()
    .flatMap(({ from, resolved }) => (resolved.wire?._tag === "Artifact" ? [from?.architecture] : []))
  return models.find((architecture) => architecture !== undefined)
}
