/** `node`: one node of a pipeline in TypeScript. What it gives are its properties; what is wired wrongly doesn't compile. */
import type { ArtifactType, ColumnType, Columns } from "../ColumnType.ts"
import type { NodeSpec } from "../NodeSpec.ts"
import type { AnyOperator, Architecture } from "../Operator.ts"
import type { Check, Given, InputsOf, RowsOf } from "./Given.ts"
import {
  type AnyWire,
  type ArtifactWire,
  artifactWire,
  type ColumnWire,
  columnWire,
  isWire,
  link,
  type Stream,
  type StreamWire,
  streamWire
} from "./Wire.ts"

/** A node as it was written, behind the wires that come from it. */
export interface Composed {
  readonly id: string
  readonly operator: AnyOperator
  readonly given: Readonly<Record<string, unknown>> & {
    readonly in?: Readonly<Record<string, unknown>>
  }
}

/** Any node: what `pipeline` takes as a leaf. */
export interface AnyNode {
  readonly [link]: { readonly node: Composed }
}

type Passed<In> = {
  readonly [K in keyof In as In[K] extends ColumnWire<ColumnType, string> ? K : never]: In[K] extends ColumnWire<
    infer Type,
    string
  >
    ? Type
    : never
}

type InOf<G> = G extends { readonly in: infer In } ? In : {}
type RowSetOf<Op extends AnyOperator, G> = Extract<RowsOf<InOf<G>, InputsOf<Op>>, string>

type PortStreams<Ports, Id extends string> = {
  readonly [P in keyof Ports & string]: Stream<Extract<Ports[P], Columns>, `${Id}.${P}`>
}
type IsOne<T, Each = T> = [T] extends [never]
  ? false
  : Each extends unknown
    ? [T] extends [Each]
      ? true
      : false
    : never
/** With a single port, the node is that port's rows too. */
type WithPorts<Ports, Id extends string> = AnyNode &
  PortStreams<Ports, Id> &
  (true extends IsOne<keyof Ports> ? Stream<Extract<Ports[keyof Ports], Columns>, `${Id}.${keyof Ports & string}`> : {})

type ColumnsOfStreams<Rows> =
  Rows extends ReadonlyArray<StreamWire<infer Cols, string>>
    ? Cols
    : Rows extends StreamWire<infer Cols, string>
      ? Cols
      : {}
/** `keyof` of a union has the keys that all of its members have. */
type CommonColumns<Cols> = { readonly [K in keyof Cols]: Cols[K] }

type ModelFrom<G> = G extends { readonly architecture: infer A extends Architecture }
  ? A
  : G extends { readonly init: ArtifactWire<"model", infer A> }
    ? A
    : G extends { readonly model: ArtifactWire<"model", infer A> }
      ? A
      : Architecture

type Artifacts<Outputs, G> = AnyNode & {
  readonly [O in keyof Outputs]: ArtifactWire<Extract<Outputs[O], ArtifactType>, ModelFrom<G>>
} & ArtifactWire<Extract<Outputs[keyof Outputs], ArtifactType>, ModelFrom<G>>

/** What a node of this operator gives. */
export type Node<Id extends string, Op extends AnyOperator, G> = Op extends {
  readonly kind: "source"
  readonly ports: infer Ports
}
  ? WithPorts<Ports, Id>
  : Op extends { readonly kind: "map"; readonly outputs: infer Out extends Columns }
    ? AnyNode & { readonly [C in keyof Out]: ColumnWire<Out[C], RowSetOf<Op, G>> }
    : Op extends { readonly kind: "route"; readonly ports: ReadonlyArray<infer Port extends string> }
      ? WithPorts<{ readonly [P in Port]: Passed<InOf<G>> }, Id>
      : Op extends { readonly kind: "expand"; readonly outputs: infer Out extends Columns }
        ? WithPorts<{ readonly rows: Passed<InOf<G>> & Out }, Id>
        : Op extends { readonly kind: "union" }
          ? WithPorts<{ readonly rows: CommonColumns<ColumnsOfStreams<InOf<G>["rows" & keyof InOf<G>]>> }, Id>
          : Op extends { readonly outputs: infer Outputs }
            ? Artifacts<Outputs, G>
            : never

const wiredColumns = ({ given }: Composed): ReadonlyArray<string> =>
  Object.entries(given.in ?? {}).flatMap(([name, wire]) => (isWire(wire) && wire[link].column === true ? [name] : []))

const withPorts = (node: Composed, ports: ReadonlyArray<readonly [string, Iterable<string>]>): AnyWire => {
  const [first] = ports
  const streams = ports.map(([port, columns]) => [port, streamWire(node, [port], port, columns)] as const)
  const own =
    ports.length === 1 && first !== undefined ? streamWire(node, [], first[0], first[1]) : artifactWire(node, [])
  return Object.assign(own, Object.fromEntries(streams))
}

const unionColumns = ({ given }: Composed): ReadonlyArray<string> => {
  const { rows } = given.in ?? {}
  const streams = (Array.isArray(rows) ? rows : [rows]).filter(isWire)
  const [first = [], ...others] = streams.map((stream) => Object.keys(stream).filter((name) => isColumn(stream, name)))
  return first.filter((name) => others.every((names) => names.includes(name)))
}
const isColumn = (stream: AnyWire, name: string): boolean => {
  const part: unknown = (stream as unknown as Record<string, unknown>)[name]
  return isWire(part) && part[link].column === true
}

const outputsOf = (node: Composed): AnyWire => {
  const { operator } = node
  switch (operator.kind) {
    case "source":
      return withPorts(
        node,
        Object.entries(operator.ports as Readonly<Record<string, Columns>>).map(([port, cols]) => [
          port,
          Object.keys(cols)
        ])
      )
    case "map":
      return Object.assign(
        artifactWire(node, []),
        Object.fromEntries(Object.keys(operator.outputs).map((name) => [name, columnWire(node, [name])]))
      )
    case "route":
      return withPorts(
        node,
        (operator.ports as ReadonlyArray<string>).map((port) => [port, wiredColumns(node)])
      )
    case "expand":
      return withPorts(node, [["rows", [...wiredColumns(node), ...Object.keys(operator.outputs)]]])
    case "union":
      return withPorts(node, [["rows", unionColumns(node)]])
    default:
      return Object.assign(
        artifactWire(node, []),
        Object.fromEntries(Object.keys(operator.outputs).map((name) => [name, artifactWire(node, [name])]))
      )
  }
}

/**
 * A node. `id` is its name, with its place in a matrix where it has one: `retrain[data=both,seed=1]`.
 *
 *   const web = node("web", ReadPairs, { path: "data/web" })
 *   const image = node("image", ImageEncoder, { normalize: true, model: blip, in: { image: web.image } })
 */
export const node = <const Id extends string, Op extends AnyOperator, const G extends Given<Op>>(
  id: Id,
  operator: Op,
  given: G & Check<Op, G>
): Node<Id, Op, G> =>
  outputsOf({ id, operator, given: given as unknown as Composed["given"] }) as unknown as Node<Id, Op, G>

/** As YAML spells it: `web.pairs.image`. */
export const referenceTo = (wire: AnyWire): string => [wire[link].node.id, ...wire[link].rest].join(".")

const everyNode = new Set(["in", "model", "init", "graph", "persist", "on_bad_row"])

const references = (wires: unknown): string | ReadonlyArray<string> =>
  Array.isArray(wires) ? wires.map((wire: AnyWire) => referenceTo(wire)) : referenceTo(wires as AnyWire)

/** The node's spelling, without the graph of a Train node. */
export const specOf = ({ operator, given }: Composed): NodeSpec => {
  const { model, init, persist, on_bad_row } = given
  const wired = Object.entries({ ...given.in, model, init }).filter(([, wires]) => wires !== undefined)
  return {
    op: operator.name,
    in: Object.fromEntries(wired.map(([name, wires]) => [name, references(wires)])),
    config: Object.fromEntries(Object.entries(given).filter(([key]) => !everyNode.has(key))),
    ...(persist === true ? { persist } : {}),
    ...(on_bad_row === undefined ? {} : { on_bad_row: on_bad_row as NonNullable<NodeSpec["on_bad_row"]> })
  }
}
