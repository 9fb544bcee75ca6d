/** What a checked node offers to others, and what a reference to it means. */
import type { ArtifactType, ColumnType, Columns } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { didYouMean } from "../Nearest.ts"
import type { AnyOperator } from "../Operator.ts"
import type { RowSet, Wire } from "../Plan.ts"
import { part } from "./Draft.ts"
import type { Ref } from "./Node.ts"

export interface PortColumns {
  readonly columns: Columns
  /** Some of its columns are in error: an unknown name may be one of them and is not reported. */
  readonly open: boolean
}

export interface Outputs {
  readonly id: string
  readonly operator: AnyOperator
  /** Maps: the row set their columns belong to; undefined where it is in error. */
  readonly rowSet: RowSet | undefined
  readonly ports: Readonly<Record<string, PortColumns>>
  readonly columns: Columns
  readonly artifacts: Readonly<Record<string, ArtifactType>>
  /** Of the model it makes. */
  readonly architecture: string | undefined
}

/** A wire, or what is wrong with the reference; neither where the mistake lies further up and is reported there. */
export interface Resolved {
  readonly wire?: Wire
  readonly rowSet?: RowSet
  readonly finding?: Finding
}

const words = (names: ReadonlyArray<string>): string => (names.length === 0 ? "nothing" : names.join(", "))

const offers = ({
  id,
  ports,
  columns,
  artifacts
}: Outputs): { readonly label: string; readonly names: ReadonlyArray<string> } => {
  const portNames = Object.keys(ports)
  const artifactNames = Object.keys(artifacts)
  if (artifactNames.length > 0) return { label: `node ${id} gives ${words(artifactNames)}`, names: artifactNames }
  if (portNames.length > 1) return { label: `node ${id} has ports: ${words(portNames)}`, names: portNames }
  const [only] = Object.values(ports)
  const names = Object.keys(only?.columns ?? columns)
  return { label: `node ${id} gives: ${words(names)}`, names: [...names, ...portNames] }
}

const column = (node: string, port: string | undefined, name: string, type: ColumnType): Wire =>
  port === undefined ? { _tag: "Column", node, column: name, type } : { _tag: "Column", node, port, column: name, type }

const portColumn = (outputs: Outputs, port: string, name: string): Resolved | undefined => {
  const { columns, open } = outputs.ports[port]!
  if (Object.hasOwn(columns, name)) {
    return { wire: column(outputs.id, port, name, columns[name]!), rowSet: `${outputs.id}.${port}` }
  }
  return open ? {} : undefined
}

/** `node` alone. */
const whole = (ref: Ref, outputs: Outputs): Resolved => {
  const { id, artifacts, ports } = outputs
  const [artifact] = Object.keys(artifacts)
  if (artifact !== undefined)
    return { wire: { _tag: "Artifact", node: id, output: artifact, type: artifacts[artifact]! } }
  const names = Object.keys(ports)
  const [port] = names
  if (port !== undefined && names.length === 1) {
    return { wire: { _tag: "Stream", node: id, port, columns: ports[port]!.columns }, rowSet: `${id}.${port}` }
  }
  const { label, names: known } = offers(outputs)
  const hint = `say which: ${known.map((name) => `${ref.text}.${name}`).join(" or ")}`
  return {
    finding: {
      code: "V114",
      message: port === undefined ? "column missing" : "port missing",
      ...ref.where,
      label,
      hint
    }
  }
}

const unknown = (
  ref: Ref,
  outputs: Outputs,
  before: string,
  name: string,
  names: ReadonlyArray<string>,
  label: string
): Resolved => {
  const { operator } = outputs
  const training = operator.training?.outputs ?? {}
  const inTraining = Object.hasOwn(training, name)
    ? { hint: `${name} exists only inside the graph of a Train node` }
    : {}
  const several = Object.keys(outputs.ports).length > 1 && before === ""
  const message = several
    ? "unknown port"
    : Object.keys(outputs.artifacts).length > 0
      ? "unknown output"
      : "unknown column"
  const at = part(ref.where, ref.text.length - name.length, name.length)
  const prefix = ref.text.slice(0, ref.text.length - name.length)
  return {
    finding: {
      code: "V104",
      message,
      ...at,
      label,
      given: name,
      expected: words(names),
      ...didYouMean(name, names, prefix),
      ...inTraining
    }
  }
}

/** `node.x`: a port, an artifact, a map's column, or a column of the only port. */
const dotted = (ref: Ref, outputs: Outputs, name: string): Resolved => {
  const { id, ports, columns, artifacts } = outputs
  if (Object.hasOwn(ports, name)) {
    return { wire: { _tag: "Stream", node: id, port: name, columns: ports[name]!.columns }, rowSet: `${id}.${name}` }
  }
  if (Object.hasOwn(artifacts, name))
    return { wire: { _tag: "Artifact", node: id, output: name, type: artifacts[name]! } }
  if (Object.hasOwn(columns, name)) {
    const wire = column(id, undefined, name, columns[name]!)
    return outputs.rowSet === undefined ? { wire } : { wire, rowSet: outputs.rowSet }
  }
  const portNames = Object.keys(ports)
  if (portNames.length === 1) {
    const found = portColumn(outputs, portNames[0]!, name)
    if (found !== undefined) return found
  }
  const holding = portNames.filter((port) => Object.hasOwn(ports[port]!.columns, name))
  if (holding.length > 1) {
    const node = ref.text.slice(0, ref.text.length - name.length)
    const hint = `say which: ${holding.map((port) => `${node}${port}.${name}`).join(" or ")}`
    return {
      finding: {
        code: "V114",
        message: "port missing",
        ...ref.where,
        label: `node ${id} has ports: ${words(portNames)}`,
        hint
      }
    }
  }
  const { label, names } = offers(outputs)
  return unknown(ref, outputs, "", name, names, label)
}

/** What `ref` means, `rest` being what stands after the node's name. */
export const resolve = (ref: Ref, rest: ReadonlyArray<string>, outputs: Outputs): Resolved => {
  const [first, second] = rest
  if (first === undefined) return whole(ref, outputs)
  if (second === undefined) return dotted(ref, outputs, first)
  if (rest.length > 2) {
    const label = "expected node, node.port, node.column or node.port.column"
    return { finding: { code: "V118", message: "bad reference", ...ref.where, label } }
  }
  if (!Object.hasOwn(outputs.ports, first)) {
    const { label, names } = offers(outputs)
    const { finding } = unknown(
      { ...ref, text: ref.text.slice(0, -second.length - 1) },
      outputs,
      "",
      first,
      names,
      label
    )
    return {
      finding: { ...finding!, message: Object.keys(outputs.ports).length > 0 ? "unknown port" : finding!.message }
    }
  }
  const found = portColumn(outputs, first, second)
  if (found !== undefined) return found
  const names = Object.keys(outputs.ports[first]!.columns)
  return unknown(ref, outputs, first, second, names, `${outputs.id}.${first} has: ${words(names)}`)
}
