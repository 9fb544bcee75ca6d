/**
 * A graph as text, one operation a line, numbered from %0 in its own order, so that equal programs print equally:
 *
 *   graph score
 *     %0 = Input() {name=in:x} : float32[2,3]
 *     %1 = Exp(%0) : float32[2,3]
 *     return y = %1
 */
import type { Attribute, Graph, Value } from "./Graph.ts"
import { showShape } from "./Graph.ts"

export function printGraph(graph: Graph): string {
  const numbers = new Map(graph.values.map((value, index) => [value, `%${index}`]))
  const line = (value: Value) => {
    const inputs = value.inputs.map((input) => numbers.get(input)).join(", ")
    return `  ${numbers.get(value)} = ${value.op}(${inputs})${showAttributes(value)} : ${value.dtype}${showShape(value.shape)}`
  }
  const outputs = Object.entries(graph.outputs).map(([name, value]) => `  return ${name} = ${numbers.get(value)}`)
  return [`graph ${graph.name}`, ...graph.values.map(line), ...outputs].join("\n") + "\n"
}

function showAttributes(value: Value): string {
  const shown = Object.entries(value.attributes).map(([name, attribute]) => `${name}=${showAttribute(attribute)}`)
  if (value.data !== undefined) shown.push(showData(value.data))
  return shown.length === 0 ? "" : ` {${shown.join(" ")}}`
}

const showAttribute = (attribute: Attribute): string =>
  typeof attribute === "object" ? showShape(attribute) : String(attribute)

function showData(data: Float32Array | Int32Array | Uint8Array): string {
  const first = Array.from(data.subarray(0, 6), (number) => Number(number.toPrecision(6))).join(",")
  return data.length > 6 ? `${first},...` : first
}
