/**
 * In which order a step's gradients are computed. ONNX Runtime goes depth first from what nobody reads, so a part of a gradient is computed
 * when the whole is: of weights that several losses share, at the last of them, and until then the activations of all wait. Computed in the
 * order in which the backward pass made them, each part lets its activations go at once.
 *
 * The same holds for a gradient that flows on and is a sum of many: the image tokens' from every layer of cross-attention. Added up as they
 * come, what they are made of isn't kept for the last one.
 */
import type { Graph, Value } from "./Graph.ts"
import { sameShape } from "./Graph.ts"
import { inPlace } from "./WorkerProtocol.ts"

const isComputed = ({ op, shape }: Value): boolean =>
  shape.length > 0 && !["Input", "Constant", "Splat", "Out"].includes(op)

const isGradient = (name: string): boolean => name.startsWith("g:") || name.startsWith(`${inPlace}g:`)

/** The parts that the gradients among the outputs are sums of; a whole gradient is its only part. */
function partsOf({ outputs }: Graph, loss: Value): ReadonlyArray<Value> {
  const parts = new Set<Value>()
  const pending = Object.entries(outputs).flatMap(([name, value]) => (isGradient(name) ? [value] : []))
  for (let value = pending.pop(); value !== undefined; value = pending.pop()) {
    if (value.op === "Reshape" || (value.op === "Add" && value.id > loss.id)) pending.push(...value.inputs)
    else if (value.op === "ScatterAdd") {
      // Of rows that are added up by position the rows are the part: a table of words is made when the last of them have come.
      const [rows, , ...into] = value.inputs
      parts.add(rows!)
      pending.push(...into)
    } else if (isComputed(value)) parts.add(value)
  }
  return [...parts]
}

const isSum = ({ op, shape, inputs, id }: Value, loss: Value): boolean =>
  op === "Add" &&
  id > loss.id &&
  shape.length > 1 &&
  inputs.every((input) => input.id > loss.id && sameShape(input.shape, shape))

/** The parts of gradients, and sums of the backward pass, as they were made. */
export const gradientOrder = (graph: Graph, loss: Value): ReadonlyArray<Value> => {
  const sums = graph.values.filter((value) => isSum(value, loss))
  return [...new Set([...partsOf(graph, loss), ...sums])].sort((a, b) => a.id - b.id)
}
