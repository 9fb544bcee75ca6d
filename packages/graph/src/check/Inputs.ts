/** A node's wires against its operator's inputs: names, kinds, types, one row set. */
import { type ColumnType, type Columns, rowIdColumn } from "../ColumnType.ts"
import type { Finding } from "../Diagnostic.ts"
import { nearest, unknownName } from "../Nearest.ts"
import type { AnyOperator, Input, Inputs } from "../Operator.ts"
import type { RowSet, Wire } from "../Plan.ts"
import { namePattern, nameRule } from "./Draft.ts"
import type { Node, NodeInput, Ref } from "./Node.ts"
import type { Outputs, Resolved } from "./Outputs.ts"

/** The declared inputs, with those every operator of its kind has: `model`, Train's `init`, Union's `rows`. */
export const declaredInputs = (operator: AnyOperator): Inputs => ({
  ...(operator.kind === "union" ? { rows: { stream: {}, many: true } } : {}),
  ...(operator.inputs as Inputs),
  ...(operator.model !== undefined && operator.kind !== "train" && !Object.hasOwn(operator.inputs as object, "model")
    ? { model: { artifact: "model" } }
    : {}),
  ...(operator.kind === "train" && !Object.hasOwn(operator.inputs as object, "init")
    ? { init: { artifact: "model" } }
    : {})
})

/** The type of a column input; undefined for streams and artifacts. */
export const columnOf = (input: Input): ColumnType | undefined =>
  typeof input === "string" ? input : "column" in input ? input.column : undefined

export const isOptional = (input: Input): boolean =>
  typeof input !== "string" && "optional" in input && input.optional === true
const isMany = (input: Input): boolean => typeof input !== "string" && input.many === true

const said = (input: Input): string => {
  const type = columnOf(input)
  if (type !== undefined) return `a column of type ${type}`
  if (typeof input !== "string" && "artifact" in input) return `an artifact of type ${input.artifact}`
  return "rows"
}

const got = (wire: Wire): string => {
  if (wire._tag === "Column") return `a column of type ${wire.type}`
  if (wire._tag === "Artifact") return `the ${wire.type} of node ${wire.node}`
  return `the rows of ${wire.node}.${wire.port}`
}

const ofType = (columns: Columns, type: ColumnType): ReadonlyArray<string> =>
  Object.keys(columns).filter((name) => columns[name] === type)

const wrongType = (ref: Ref, input: Input, wire: Wire, from: Outputs): Finding => {
  const type = columnOf(input)
  const spelled = wire._tag === "Column" ? ref.text.slice(0, ref.text.length - wire.column.length) : ""
  const near =
    type === undefined
      ? []
      : wire._tag === "Stream"
        ? ofType(wire.columns, type).map((name) => `${ref.text}.${name}`)
        : wire._tag === "Column" && wire.port !== undefined
          ? ofType(from.ports[wire.port]!.columns, type).map((name) => `${spelled}${name}`)
          : ofType(from.columns, type).map((name) => `${wire.node}.${name}`)
  const ports = wire._tag === "Column" && typeof input !== "string" && "stream" in input ? Object.keys(from.ports) : []
  const named = near.length > 0 ? near : ports.map((port) => `${wire.node}.${port}`)
  const label = `expected ${said(input)}, got ${got(wire)}`
  const hint = named.length > 0 && named.length < 4 ? { hint: `did you mean ${named.join(" or ")}?` } : {}
  return { code: "V112", message: "wrong type", ...ref.where, label, expected: said(input), given: got(wire), ...hint }
}

const streamGaps = (ref: Ref, wanted: Columns, wire: Wire, from: Outputs): Finding | undefined => {
  if (wire._tag !== "Stream" || from.ports[wire.port]!.open) return undefined
  const gaps = Object.entries(wanted).filter(([name, type]) => wire.columns[name] !== type)
  if (gaps.length === 0) return undefined
  const has = Object.entries(wire.columns).map(([name, type]) => `${name} (${type})`)
  const label = `expected rows with ${gaps.map(([name, type]) => `${name} (${type})`).join(", ")}; ${wire.node}.${wire.port} has: ${has.join(", ") || "nothing"}`
  return { code: "V112", message: "wrong columns", ...ref.where, label }
}

const architectureOf = (ref: Ref, operator: AnyOperator, wire: Wire, from: Outputs): Finding | undefined => {
  if (
    wire._tag !== "Artifact" ||
    wire.type !== "model" ||
    operator.model === undefined ||
    from.architecture === undefined
  )
    return undefined
  if ((operator.model as ReadonlyArray<string>).includes(from.architecture)) return undefined
  const label = `${operator.name} takes a model of architecture ${operator.model.join(" or ")}; ${wire.node} is ${from.architecture}`
  return {
    code: "V116",
    message: "wrong architecture",
    ...ref.where,
    label,
    expected: operator.model.join(" or "),
    given: from.architecture
  }
}

const checkWire = (
  ref: Ref,
  input: Input | undefined,
  operator: AnyOperator,
  wire: Wire,
  from: Outputs
): Finding | undefined => {
  if (input === undefined) {
    if (wire._tag === "Column") return undefined
    const label = `a further input takes a column, got ${got(wire)}`
    return { code: "V112", message: "wrong type", ...ref.where, label }
  }
  const type = columnOf(input)
  if (type !== undefined)
    return wire._tag === "Column" && wire.type === type ? undefined : wrongType(ref, input, wire, from)
  if (typeof input !== "string" && "artifact" in input) {
    if (wire._tag !== "Artifact" || wire.type !== input.artifact) return wrongType(ref, input, wire, from)
    return architectureOf(ref, operator, wire, from)
  }
  if (wire._tag !== "Stream") return wrongType(ref, input, wire, from)
  return typeof input !== "string" && "stream" in input ? streamGaps(ref, input.stream, wire, from) : undefined
}

/** A reference after it was looked up. */
export interface Read {
  readonly ref: Ref
  readonly resolved: Resolved
  readonly from: Outputs | undefined
}

export interface CheckedInputs {
  readonly wires: Readonly<Record<string, ReadonlyArray<Wire>>>
  /** Of its plain columns; undefined where they have none in common. */
  readonly rowSet: RowSet | undefined
  /** The plain columns by input name, for what a route or expand passes on; `open` where one is in error. */
  readonly passed: { readonly columns: Columns; readonly open: boolean }
}

const unknownInput = (node: Node, name: string, input: NodeInput, declared: Inputs): Finding => {
  const known = Object.keys(declared)
  const label = `${node.operator.name} takes: ${known.join(", ") || "no inputs"}`
  return unknownName({ code: "V111", message: "unknown input", ...input.key, label }, name, known)
}

const missing = (node: Node, declared: Inputs, findings: Array<Finding>): void => {
  const known = Object.keys(declared)
  const unknown =
    node.operator.openInputs === true ? [] : Object.keys(node.inputs).filter((name) => !known.includes(name))
  const meant = [...unknown.map((name) => nearest(name, known)), ...node.misplaced]
  for (const [name, input] of Object.entries(declared)) {
    if (isOptional(input) || Object.hasOwn(node.inputs, name) || meant.includes(name)) continue
    const beside = name === "model" || name === "init" ? `${name}: ...` : `in: { ${name}: ... }`
    const label = `${node.operator.name} needs ${name}: ${said(input)}`
    findings.push({
      code: "V110",
      message: "missing input",
      ...node.place(["op"]),
      label,
      expected: said(input),
      hint: `add ${beside}`
    })
  }
}

interface RowSets {
  first: { readonly rowSet: RowSet; readonly name: string } | undefined
  broken: boolean
}

const sameRows = (read: Read, name: string, sets: RowSets, findings: Array<Finding>): void => {
  const { rowSet } = read.resolved
  if (rowSet === undefined) sets.broken = true
  else if (sets.first === undefined) sets.first = { rowSet, name }
  else if (sets.first.rowSet !== rowSet) {
    const label = `rows of ${rowSet}, but ${sets.first.name} has the rows of ${sets.first.rowSet}`
    const hint = "all columns of a node belong to one row set: wire both from the same port"
    findings.push({
      code: "V113",
      message: "two row sets",
      ...read.ref.where,
      label,
      expected: sets.first.rowSet,
      given: rowSet,
      hint
    })
    sets.broken = true
  }
}

/** Checks every wire of a node; `reads` has what each reference was found to be. */
export const checkInputs = (
  node: Node,
  reads: Readonly<Record<string, ReadonlyArray<Read>>>,
  findings: Array<Finding>
): CheckedInputs => {
  const { operator } = node
  const declared = declaredInputs(operator)
  const wires: Record<string, ReadonlyArray<Wire>> = {}
  const columns: Record<string, ColumnType> = {}
  const sets: RowSets = { first: undefined, broken: false }
  let open = false
  missing(node, declared, findings)
  for (const [name, input] of Object.entries(node.inputs)) {
    const wanted = Object.hasOwn(declared, name) ? declared[name]! : undefined
    if (wanted === undefined && operator.openInputs !== true) {
      findings.push(unknownInput(node, name, input, declared))
      continue
    }
    if (wanted === undefined && (!namePattern.test(name) || name === rowIdColumn)) {
      const label = name === rowIdColumn ? `${rowIdColumn} is every batch's own column` : nameRule
      findings.push({ code: "V118", message: "bad name", ...input.key, label, given: name })
    }
    const many = wanted !== undefined && isMany(wanted)
    if (input.list && !many && input.refs.length !== 1) {
      const label = `${operator.name} takes one ${name}, got a list of ${input.refs.length}`
      findings.push({ code: "V112", message: "wrong type", ...node.place(["in", name]), label })
    }
    const found: Array<Wire> = []
    for (const read of reads[name]!) {
      const { wire, finding } = read.resolved
      const wrong =
        finding ??
        (wire === undefined || read.from === undefined
          ? undefined
          : checkWire(read.ref, wanted, operator, wire, read.from))
      if (wrong !== undefined) findings.push(wrong)
      if (wire !== undefined) found.push(wire)
      if (wire === undefined || wrong !== undefined) open = true
      if (wire?._tag !== "Column" || many) continue
      sameRows(read, name, sets, findings)
      columns[name] = wanted === undefined ? wire.type : (columnOf(wanted) ?? wire.type)
    }
    wires[name] = found
  }
  return { wires, rowSet: sets.broken ? undefined : sets.first?.rowSet, passed: { columns, open } }
}
