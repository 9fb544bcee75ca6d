/** What lowering a graph would write, as values to compare: names hang on an operation's place, not on any size. */
import type { Graph, Value } from "../Graph.ts"
import type { DType } from "../Program.ts"
import type { Emitter } from "./Lower.ts"
import { valueNames } from "./Lower.ts"
import { lowerOperation } from "./LowerOperation.ts"
import { filled } from "./Operands.ts"
import type { Data } from "./Operands.ts"
import type { OnnxNode } from "./Protobuf.ts"

/** What lowering one operation does, with names that don't depend on sizes. */
export type Call =
  | { readonly _tag: "Integers"; readonly name: string; readonly numbers: ReadonlyArray<number> }
  | {
      readonly _tag: "Tensor"
      readonly name: string
      readonly dtype: DType
      readonly shape: ReadonlyArray<number>
      readonly data: Data
      /** A Constant of the program, not a number of the operation. */
      readonly constant: boolean
    }
  | { readonly _tag: "Node"; readonly node: OnnxNode }

/** One operation's calls; integers and small numbers get names by their place. */
const callsOf = (value: Value, index: number, nameOf: (value: Value) => string): ReadonlyArray<Call> => {
  const calls: Array<Call> = []
  const place = () => `#${index}.${calls.length}`
  const tensor = (name: string, dtype: DType, shape: ReadonlyArray<number>, data: Data): string => {
    calls.push({ _tag: "Tensor", name, dtype, shape, data, constant: value.op === "Constant" })
    return name
  }
  const emitter: Emitter = {
    device: "cpu",
    nameOf,
    node: (op, inputs, output, attributes = {}, domain = "") =>
      calls.push({ _tag: "Node", node: { op, inputs, outputs: [output], attributes, domain } }),
    nodeOf: (op, inputs, outputs, attributes) =>
      calls.push({ _tag: "Node", node: { op, inputs, outputs, attributes, domain: "" } }),
    integers: (numbers) => {
      const name = place()
      calls.push({ _tag: "Integers", name, numbers })
      return name
    },
    scalar: (number, dtype) => tensor(place(), dtype, [], filled(number, dtype, 1)),
    tensor: (name, { dtype, shape }, data) => void tensor(name, dtype, shape, data),
    isStored: () => false,
    int8: () => undefined
  }
  lowerOperation(value, emitter)
  return calls
}

/** All calls of a graph; its outputs come last, under their own names. */
export const traceOf = (graph: Graph): ReadonlyArray<Call> => {
  const names = valueNames(graph)
  const body = graph.values.flatMap((value, index) => callsOf(value, index, (each) => names.get(each)!))
  const outputs = Object.entries(graph.outputs).map(([name, value]): Call => {
    const node = { op: "Identity", inputs: [names.get(value)!], outputs: [name], attributes: {}, domain: "" }
    return { _tag: "Node", node }
  })
  return [...body, ...outputs]
}
