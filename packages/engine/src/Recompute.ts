/**
 * Activations that the backward pass computes again instead of keeping them from the forward pass (Chen et al. 2016, "Training Deep Nets with
 * Sublinear Memory Cost", section 3). The operations are the same, so are their results; only when they run changes.
 *
 *   cheap  the results of an activation function or a layer norm whose input is kept: one pass over them against a fifth of the memory
 *   low    all but the sums of two activations, which are a transformer's residual stream, and what Gelu and QuickGelu are given: attention is
 *          computed twice, except for its last product, which only the sum needs. The feed-forward's first product would take as long again
 *
 * What no later sum depends on is kept: the losses, whose backward pass follows at once.
 */
import type { Graph, Value } from "./Graph.ts"
import { makeGraph, sameShape } from "./Graph.ts"

export type Recomputed = "cheap" | "low"

const activations = new Set(["Gelu", "QuickGelu"])
const cheap = new Set([...activations, "LayerNormalization"])
const sources = new Set(["Input", "Constant", "Splat"])

/** What a view is a view of. */
const baseOf = (value: Value): Value => (value.op === "Reshape" ? baseOf(value.inputs[0]!) : value)

const isSource = (value: Value): boolean => sources.has(baseOf(value).op)

/** Values up to the loss, and the further outputs of operations among them. */
const isForward = (value: Value, loss: Value): boolean =>
  value.id <= loss.id || (value.op === "Out" && value.inputs[0]!.id <= loss.id)

const isSum = ({ op, shape, inputs }: Value): boolean =>
  op === "Add" && shape.length >= 2 && inputs.every((input) => sameShape(input.shape, shape) && !isSource(input))

/** The forward values that the backward pass reads, views seen through. */
function readBackward({ values }: Graph, loss: Value): ReadonlySet<Value> {
  const backward = values.filter((value) => !isForward(value, loss))
  return new Set(backward.flatMap(({ inputs }) => inputs.filter((input) => isForward(input, loss)).map(baseOf)))
}

/** The values among `needed` that are computed again. */
export function recomputedValues(graph: Graph, loss: Value, which: Recomputed): ReadonlySet<Value> {
  const needed = readBackward(graph, loss)
  const again = new Set<Value>()
  if (which === "cheap") {
    const isKept = (value: Value): boolean =>
      isSource(value) || (needed.has(baseOf(value)) && !again.has(baseOf(value)))
    for (const value of graph.values) {
      if (needed.has(value) && cheap.has(value.op) && value.inputs.every(isKept)) again.add(value)
    }
    return again
  }
  const activated = new Set(graph.values.flatMap(({ op, inputs }) => (activations.has(op) ? [baseOf(inputs[0]!)] : [])))
  const isKept = (value: Value) => isSum(value) || isSource(value) || value.op === "Out" || activated.has(baseOf(value))
  const underSum = new Set<Value>()
  for (const value of graph.values.toReversed()) {
    if (value.id > loss.id || !(isSum(value) || underSum.has(value))) continue
    value.inputs.forEach((input) => underSum.add(input))
  }
  for (const value of needed) {
    if (underSum.has(value) && !isKept(value)) again.add(value)
  }
  return again
}

/**
 * The graph with these values computed a second time for the backward pass. The copies stand between forward and backward: ONNX Runtime
 * computes the operand that stands last first, so a copy runs when the gradient that it is multiplied with is there, not before.
 */
export function recompute(graph: Graph, loss: Value, which: Recomputed): Graph {
  const again = recomputedValues(graph, loss, which)
  if (again.size === 0) return graph
  const needed = readBackward(graph, loss)
  const isKept = (value: Value): boolean => {
    const base = baseOf(value)
    return isSource(base) || base.op === "Out" || isSum(base) || (needed.has(base) && !again.has(base))
  }
  let id = graph.values.at(-1)!.id
  const copies = new Map<Value, Value>()
  const copyOf = (value: Value): Value => {
    if (isKept(value)) return value
    const known = copies.get(value)
    if (known !== undefined) return known
    const inputs = value.inputs.map(copyOf)
    const copy = { ...value, id: ++id, inputs }
    copies.set(value, copy)
    return copy
  }
  const backward = graph.values.filter((value) => !isForward(value, loss))
  const readsCopy = (input: Value) => isForward(input, loss) && again.has(baseOf(input))
  backward.forEach(({ inputs }) => inputs.filter(readsCopy).forEach(copyOf))
  const moved = new Map<Value, Value>()
  const now = (value: Value): Value => moved.get(value) ?? (readsCopy(value) ? copies.get(value)! : value)
  for (const value of backward) moved.set(value, { ...value, id: ++id, inputs: value.inputs.map(now) })
  const outputs = Object.entries(graph.outputs).map(([name, value]) => [name, moved.get(value) ?? value])
  return makeGraph(graph.name, Object.fromEntries(outputs) as Graph["outputs"])
}
