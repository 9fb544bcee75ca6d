/** Test support: the most that a graph's values hold at once when ONNX Runtime computes them, without inputs, constants and gradients. */
import type { Graph, Value } from "../src/Graph.ts"
import { sizeOf } from "../src/index.ts"

const baseOf = (value: Value): Value => (value.op === "Reshape" ? baseOf(value.inputs[0]!) : value)

/** Depth first from what nobody reads, the last first; of several operands the last first. */
function executionOrder({ values, order = [] }: Graph): ReadonlyArray<Value> {
  const read = new Set(values.flatMap(({ inputs }) => inputs))
  const done = new Set<Value>()
  const sequence: Array<Value> = []
  const visit = (value: Value): void => {
    if (done.has(value)) return
    done.add(value)
    ;[...new Set(value.inputs)].sort((a, b) => b.id - a.id).forEach(visit)
    sequence.push(value)
  }
  ;[...order, ...values.filter((value) => !read.has(value)).toReversed()].forEach(visit)
  return sequence
}

export function peakBytes(graph: Graph): number {
  const sequence = executionOrder(graph)
  const written = new Set(Object.values(graph.outputs).map(baseOf))
  const last = new Map<Value, number>()
  sequence.forEach(({ op, inputs }, at) => op !== "Out" && inputs.forEach((input) => last.set(baseOf(input), at)))
  const ends = Map.groupBy(last.keys(), (value) => last.get(value)!)
  const held = new Set<Value>()
  let bytes = 0
  let peak = 0
  sequence.forEach((value, at) => {
    const computed = !["Input", "Constant", "Splat", "Reshape", "Out"].includes(value.op)
    if (computed && !written.has(value) && last.has(value)) {
      held.add(value)
      bytes += 4 * sizeOf(value.shape)
    }
    peak = Math.max(peak, bytes)
    for (const ended of ends.get(at) ?? []) if (held.delete(ended)) bytes -= 4 * sizeOf(ended.shape)
  })
  return peak
}
