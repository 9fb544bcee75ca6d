/**
 * In which order a step's gradients are computed. ONNX Runtime goes depth first from what nobody reads, so a part of a gradient is computed
 * when the whole is: of weights that several losses share, at the last of them, and until then the activations of all wait. Computed in the
 * order in which the backward pass made them, each part lets its activations go at once.
 */
import type { Graph, Value } from "./Graph.ts"

const computed = ({ op, shape }: Value): boolean =>
  shape.length > 0 && !["Input", "Constant", "Splat", "Out"].includes(op)

/** The parts that the outputs `g:` are sums of, as they were made; a whole gradient is its only part. */
export function gradientParts({ outputs }: Graph, loss: Value): ReadonlyArray<Value> {
  const parts = new Set<Value>()
  const pending = Object.entries(outputs).flatMap(([name, value]) => (name.startsWith("g:") ? [value] : []))
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (value.op === "Reshape" || (value.op === "Add" && value.id > loss.id)) pending.push(...value.inputs)
    else if (computed(value)) parts.add(value)
  }
  return [...parts].sort((a, b) => a.id - b.id)
}
