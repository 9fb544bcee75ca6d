/** A graph gone through once, each value after those that it reads, and put together again from what rules make of its values. */
import type { Graph, Value } from "./Graph.ts"
import { makeGraph } from "./Graph.ts"

export interface Rewriting {
  /** Whether more than one value or output reads this one. */
  readonly isShared: (value: Value) => boolean
  /** Puts a further value in front of the one that is being rewritten. */
  readonly add: (value: Value) => Value
}

/** What takes the place of a value whose inputs are rewritten already. */
export type Rule = (value: Value, rewriting: Rewriting) => Value

export function rewriteGraph(graph: Graph, rules: ReadonlyArray<Rule>): Graph {
  const readers = new Map<Value, number>()
  const count = (value: Value) => readers.set(value, (readers.get(value) ?? 0) + 1)
  graph.values.forEach(({ inputs }) => inputs.forEach(count))
  Object.values(graph.outputs).forEach(count)
  const moved = new Map<Value, Value>()
  const shared = new Set<Value>()
  let id = 0
  const rewriting: Rewriting = {
    isShared: (value) => shared.has(value),
    add: (value) => ({ ...value, id: ++id })
  }
  for (const value of graph.values) {
    const given: Value = { ...value, inputs: value.inputs.map((input) => moved.get(input)!) }
    const next = rewriting.add(rules.reduce((result, rule) => rule(result, rewriting), given))
    moved.set(value, next)
    if (readers.get(value)! > 1) shared.add(next)
  }
  const outputs = Object.entries(graph.outputs).map(([name, value]) => [name, moved.get(value)!])
  return makeGraph(graph.name, Object.fromEntries(outputs) as Graph["outputs"])
}
