/**
 * A graph as an ONNX model for ONNX Runtime. Input and output names are the graph's; values between are numbered as
 * `printGraph` numbers them.
 *
 * Sizes, axes and other operands of ONNX operations that aren't values of the graph: Operands.ts.
 */
import type { Graph, Value } from "../Graph.ts"
import { int8Names, int8Weight, int8Weights } from "./Int8.ts"
import { lowerOperation } from "./LowerOperation.ts"
import { givenOperands, storedOperands } from "./Operands.ts"
import type { Operands } from "./Operands.ts"
import type { HostTensors } from "../Program.ts"
import type { Device } from "./Protocol.ts"
import { encodeModel } from "./Protobuf.ts"
import type { OnnxAttribute, OnnxNode, OnnxValue } from "./Protobuf.ts"
import { isUncopied, sequence } from "./Uncopied.ts"

/** Of the products with weights, in inference; training is always in fp32. */
export type OnnxPrecision = "fp32" | "int8"

/** What a model is for. */
export interface Target {
  readonly precision: OnnxPrecision
  readonly device: Device
}

/** What lowering one operation may do to the model. */
export interface Emitter extends Operands {
  readonly device: Device
  readonly nameOf: (value: Value) => string
  readonly node: (
    op: string,
    inputs: ReadonlyArray<string>,
    output: string,
    attributes?: Readonly<Record<string, OnnxAttribute>>,
    domain?: string
  ) => void
  /** A node with several outputs. */
  readonly nodeOf: (
    op: string,
    inputs: ReadonlyArray<string>,
    outputs: ReadonlyArray<string>,
    attributes: Readonly<Record<string, OnnxAttribute>>
  ) => void
  /** The inputs that hold a product's weight in 8 bits, where it is wanted so. */
  readonly int8: (product: Value) => ReturnType<typeof int8Names> | undefined
}

export interface LoweredGraph {
  readonly model: Uint8Array
  /** Inputs of the model beside the graph's, which every run is given; none where `graph.order` is absent, and none on a device. */
  readonly operands: HostTensors
}

/** With `precision` int8, weights that can be are inputs of 8 bits (Int8.ts). */
export function lower(
  graph: Graph,
  { precision, device }: Target = { precision: "fp32", device: "cpu" }
): LoweredGraph {
  const nodes: Array<OnnxNode> = []
  const names = valueNames(graph)
  // A device would be sent given ones at every run.
  const isGiven = graph.order !== undefined && device === "cpu"
  const { made, ...operands } = isGiven ? givenOperands() : storedOperands()
  const emitter: Emitter = {
    ...operands,
    device,
    nameOf: (value) => names.get(value)!,
    node: (op, inputs, output, attributes = {}, domain = "") =>
      nodes.push({ op, inputs, outputs: [output], attributes, domain }),
    nodeOf: (op, inputs, outputs, attributes) => nodes.push({ op, inputs, outputs, attributes, domain: "" }),
    int8: (product) => {
      const weight = precision === "int8" ? int8Weight(product) : undefined
      return weight === undefined ? undefined : int8Names(weight)
    }
  }
  const outputs = nameOutputs(graph, names)
  const uncopied = isUncopied(graph.outputs, device)
  if (uncopied) emitter.node("SequenceEmpty", [], sequence)
  for (const value of graph.values) lowerOperation(value, emitter)
  for (const { name, value } of outputs)
    if (names.get(value) !== name) emitter.node("Identity", [names.get(value)!], name)
  for (const value of graph.order?.toReversed() ?? []) readFirst(names.get(value)!, emitter)
  const described: ReadonlyArray<OnnxValue> = [
    ...Object.entries(graph.inputs).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    ...(precision === "int8" ? int8Inputs(graph) : [])
  ]
  const results: ReadonlyArray<OnnxValue> = [
    ...(uncopied ? [{ name: sequence, dtype: "float32" as const, sequence: true }] : []),
    ...outputs.map(({ name, value: { dtype, shape } }) => ({ name, dtype, shape }))
  ]
  const { initializers, nodes: first, inputs, given } = made()
  // Where ONNX Runtime knows sizes, it plans memory: a tensor takes the place of an earlier one of its size, which is held until then, from the
  // forward pass to the backward pass. So of a graph that has its order it learns none.
  const told = (value: OnnxValue): OnnxValue => {
    const { name, dtype, sequence = false } = value
    return graph.order === undefined ? value : { name, dtype, sequence }
  }
  const model = encodeModel({
    name: graph.name,
    nodes: [...first, ...nodes],
    initializers,
    inputs: [...described, ...inputs].map(told),
    outputs: results.map(told)
  })
  return { model, operands: given }
}

/**
 * ONNX Runtime starts with the last node of the file whose result nobody reads, and computes what it needs. So one that reads a single row of
 * a tensor fixes when the tensor is computed.
 */
const readFirst = (name: string, { node, integers }: Emitter): void =>
  node("Gather", [name, integers([0])], `${name}.first`, { axis: 0 })

const int8Inputs = (graph: Graph): ReadonlyArray<OnnxValue> =>
  int8Weights(graph).flatMap((weight) => {
    const [outputs, inputs] = graph.inputs[`w:${weight}`]!.shape as [number, number]
    const { values, scales } = int8Names(weight)
    return [
      { name: values, dtype: "int8", shape: [inputs, outputs] },
      { name: scales, dtype: "float32", shape: [outputs] }
    ]
  })

/** Inputs keep their names, the others are numbered: names hang on places, not on sizes. */
export function valueNames({ values }: Graph): Map<Value, string> {
  const names = new Map<Value, string>()
  const nameOf = (value: Value, index: number): string => {
    if (value.op === "Input") return value.attributes.name as string
    if (value.op === "Out") return `${names.get(value.inputs[0]!)}.${value.attributes.index as number}`
    return `%${index}`
  }
  values.forEach((value, index) => names.set(value, nameOf(value, index)))
  return names
}

/**
 * An operation that gives an output writes it under the output's name, so that it can write straight into a caller's buffer. Inputs,
 * constants and values that are already an output are copied.
 */
function nameOutputs(
  graph: Graph,
  names: Map<Value, string>
): ReadonlyArray<{ readonly name: string; readonly value: Value }> {
  const taken = new Set<Value>()
  return Object.entries(graph.outputs).map(([name, value]) => {
    const computed = !["Input", "Constant", "Splat", "Out", "LayerNormalization", "TopK"].includes(value.op)
    if (computed && !taken.has(value)) names.set(value, name)
    taken.add(value)
    return { name, value }
  })
}
