/**
 * Products of stacks of matrices take a constant factor of an operand or of their result as their own: attention's 1 / sqrt(d), in the forward
 * pass and twice in the backward pass (Vaswani et al. 2017, section 3.2.1). The scaled copies [B, H, T, d] are then never made.
 */
import type { Graph, Value } from "../Graph.ts"
import { makeGraph } from "../Graph.ts"
import { splatOf } from "../Recording.ts"

const isStack = ({ op, shape }: Value): boolean => op === "MatMul" && shape.length > 2

/** The number that a value is a multiple by. */
const factorOf = ({ op, inputs }: Value): number | undefined =>
  op === "Mul" && inputs[1]!.shape.length === 0 ? splatOf(inputs[1]!) : undefined

const timesFactor = (product: Value, factor: number): Value["attributes"] => ({
  ...product.attributes,
  alpha: ((product.attributes.alpha as number | undefined) ?? 1) * factor
})

/** `value` reads only values that are folded already; of a product that others read too, the multiple stays an operation. */
function folded(value: Value, isRead: (value: Value) => boolean): Value {
  if (isStack(value)) {
    const factors = value.inputs.map((input) => factorOf(input) ?? 1)
    const factor = factors[0]! * factors[1]!
    if (factor === 1) return value
    const inputs = value.inputs.map((input, index) => (factors[index] === 1 ? input : input.inputs[0]!))
    return { ...value, inputs, attributes: timesFactor(value, factor) }
  }
  const factor = factorOf(value)
  const product = value.inputs[0]
  if (factor === undefined || product === undefined || !isStack(product) || isRead(product)) return value
  return { ...product, id: value.id, attributes: timesFactor(product, factor) }
}

export function foldScales(graph: Graph): Graph {
  const readers = new Map<Value, number>()
  const count = (value: Value) => readers.set(value, (readers.get(value) ?? 0) + 1)
  graph.values.forEach(({ inputs }) => inputs.forEach(count))
  Object.values(graph.outputs).forEach(count)
  const moved = new Map<Value, Value>()
  const shared = new Set<Value>()
  for (const value of graph.values) {
    const inputs = value.inputs.map((input) => moved.get(input)!)
    const same = inputs.every((input, index) => input === value.inputs[index])
    const next = folded(same ? value : { ...value, inputs }, (product) => shared.has(product))
    moved.set(value, next)
    if (readers.get(value)! > 1) shared.add(next)
  }
  const outputs = Object.entries(graph.outputs).map(([name, value]) => [name, moved.get(value)!])
  return makeGraph(graph.name, Object.fromEntries(outputs) as Graph["outputs"])
}
