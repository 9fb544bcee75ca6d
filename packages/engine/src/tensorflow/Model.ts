/**
 * Graphs as one TensorFlow model with several entries. What an entry reads comes in at each run, or is a variable of the model, which
 * stays in TensorFlow from run to run; what it gives goes out, or into a variable.
 */
import type { Graph, Value } from "../Graph.ts"
import type { TensorSpec } from "../Program.ts"
import type { GraphBuilder } from "./GraphBuilder.ts"
import { lowerings } from "./LowerOperation.ts"

/** One way to run a model. Records go from our names of tensors to the graph's nodes. */
export interface Entry {
  readonly feeds: Readonly<Record<string, string>>
  readonly fetches: Readonly<Record<string, string>>
  /** Variables it reads or changes in place: they have to be in the model. */
  readonly variables: ReadonlyArray<string>
  /** Variables it gives a value, so that they needn't have had one. */
  readonly assigned: ReadonlyArray<string>
  /** Variables that have no value afterwards. */
  readonly destroyed: ReadonlyArray<string>
  /** A node that is there when all variables have been written. */
  readonly done?: string
}

/** A variable's nodes: its value, and how to set it and to let go of it. */
export interface Variable {
  readonly read: string
  readonly feed: string
  readonly put: string
  readonly gone: string
}

export interface CompiledModel {
  readonly bytes: Uint8Array
  readonly entries: Readonly<Record<string, Entry>>
  readonly variables: Readonly<Record<string, Variable>>
}

/** Nodes of every value of the graph; `bind` says which node an input is. */
export function lowerGraph(
  builder: GraphBuilder,
  graph: Graph,
  bind: (name: string, spec: TensorSpec) => string
): ReadonlyMap<Value, string> {
  const nodes = new Map<Value, string>()
  for (const value of graph.values) {
    const inputs = value.inputs.map((input) => nodes.get(input)!)
    const node =
      value.op === "Input" ? bind(value.attributes.name as string, value) : lowerings[value.op]!(value, builder, inputs)
    nodes.set(value, node)
  }
  return nodes
}

/** A node of its own: TensorFlow refuses to fetch what was fed, and anything twice. */
export const fetched = (builder: GraphBuilder, node: string, { dtype }: TensorSpec): string =>
  builder.node("Identity", [node], { T: { type: dtype } })

/** The entry of a graph without variables. */
export function graphEntry(builder: GraphBuilder, graph: Graph): Entry {
  const feeds: Record<string, string> = {}
  const nodes = lowerGraph(
    builder,
    graph,
    (name, { dtype, shape }) => (feeds[name] = builder.placeholder(dtype, shape))
  )
  const fetches = Object.entries(graph.outputs).map(([name, value]) => [
    name,
    fetched(builder, nodes.get(value)!, value)
  ])
  return { feeds, fetches: Object.fromEntries(fetches) as Entry["fetches"], variables: [], assigned: [], destroyed: [] }
}
