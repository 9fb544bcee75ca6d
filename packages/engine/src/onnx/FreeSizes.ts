/**
 * An ONNX model whose batch and text length are free, out of captures whose sizes are not.
 *
 * A program is captured several times at other sizes. What lowering writes must be the same but for its integers and constants.
 * An integer that differs is c times a product of free sizes, found by trying and checked against every capture; the model computes
 * it from its inputs' shapes. A constant that differs is one number everywhere, or a progression 0, s, 2s, or the leading block of the
 * one captured at the largest sizes (positions, causal masks), which the model slices. Anything else is refused.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import { capture } from "../Capture.ts"
import { EngineError } from "../EngineError.ts"
import type { Graph, Value } from "../Graph.ts"
import { sameShape } from "../Graph.ts"
import { prefixed, under } from "../HostTensors.ts"
import type { HostTensors, Specs, Tensors } from "../Program.ts"
import { FreeModel } from "./FreeModel.ts"
import type { FreeInput } from "./FreeModel.ts"
import { traceOf } from "./LoweringTrace.ts"
import type { Call } from "./LoweringTrace.ts"
import type { Data } from "./Operands.ts"
import { elementType, encodeModel } from "./Protobuf.ts"
import { productOf } from "./SizeProducts.ts"
import type { Product, Sizes } from "./SizeProducts.ts"

export interface FreeProgram {
  readonly name: string
  readonly weights: HostTensors
  readonly inputs: Readonly<Record<string, FreeInput>>
  /** Free sizes that end somewhere, such as a text's length at the number of positions; at least 8. */
  readonly largest: Readonly<Record<string, number>>
  readonly run: (weights: Tensors, inputs: Tensors) => Readonly<Record<string, Tensor>>
}

const refuse = (program: string, detail: string): never => {
  throw new EngineError({ reason: "InvalidProgram", program, detail })
}

const specsAt = ({ weights, inputs }: FreeProgram, sizes: Sizes): Specs => {
  const specs = Object.entries(inputs).map(([name, { dtype, shape }]) => [
    name,
    {
      dtype: dtype === "int64" ? "int32" : dtype,
      shape: shape.map((size) => (typeof size === "number" ? size : sizes[size]!))
    }
  ])
  return { ...prefixed("w:", weights), ...prefixed("x:", Object.fromEntries(specs) as Specs) }
}

const captureAt = (program: FreeProgram, sizes: Sizes): Graph =>
  capture(program.name, specsAt(program, sizes), (at) => program.run(under("w:", at), under("x:", at)))

const firstSizes = ({ inputs }: FreeProgram): Sizes => {
  const shapes = Object.values(inputs).flatMap(({ shape }) => shape)
  const names = [...new Set(shapes.filter((size) => typeof size === "string"))]
  return Object.fromEntries(names.map((name, i) => [name, 2 * i + 3]))
}

/** Captures that tell sizes apart: each differs from the first in one of them, the last one in all. None is the largest. */
const probesOf = (base: Sizes): ReadonlyArray<Sizes> => {
  const raised = (name: string, by: number): Sizes => ({ ...base, [name]: base[name]! + by })
  const names = Object.keys(base)
  return [
    base,
    ...names.map((name) => raised(name, 1)),
    Object.assign({}, ...names.map((name) => ({ [name]: base[name]! + 2 })))
  ]
}

/** The program's constants where its sizes are largest, in their order. At full length positions aren't sliced, so it isn't traced. */
const largestConstants = (program: FreeProgram, base: Sizes): ReadonlyArray<Value> =>
  captureAt(program, { ...base, ...program.largest }).values.filter((value) => value.op === "Constant")

/** Whether `block` is the leading part of `whole`. */
const isLeading = (
  block: Data,
  shape: ReadonlyArray<number>,
  whole: Data,
  wholeShape: ReadonlyArray<number>
): boolean => {
  if (shape.length !== wholeShape.length || shape.some((size, axis) => size > wholeShape[axis]!)) return false
  return block.every((value, i) => {
    let rest = i
    let at = 0
    let stride = 1
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      at += (rest % shape[axis]!) * stride
      rest = Math.floor(rest / shape[axis]!)
      stride *= wholeShape[axis]!
    }
    return whole[at] === value
  })
}

/** The step of 0, s, 2s, ...; undefined for anything else. */
const progression = (data: Data, shape: ReadonlyArray<number>): number | undefined => {
  const step = data[1]
  return shape.length === 1 && step !== undefined && data.every((value, i) => value === i * step) ? step : undefined
}

type TensorCall = Extract<Call, { readonly _tag: "Tensor" }>

/** What is traced at every probe, put into the model. */
class Merge {
  readonly #model: FreeModel
  readonly #program: string
  readonly #probes: ReadonlyArray<Sizes>

  constructor(model: FreeModel, program: string, probes: ReadonlyArray<Sizes>) {
    this.#model = model
    this.#program = program
    this.#probes = probes
  }

  #products(lists: ReadonlyArray<ReadonlyArray<number>>): ReadonlyArray<Product> {
    return lists[0]!.map((_, i) => {
      const numbers = lists.map((list) => list[i]!)
      const found = productOf(numbers, this.#probes)
      return found ?? refuse(this.#program, `a size of ${numbers.join(", ")} follows from no input's size`)
    })
  }

  integers(name: string, lists: ReadonlyArray<ReadonlyArray<number>>): void {
    const vector = this.#model.vector(this.#products(lists), name)
    if (vector !== name) this.#model.node("Identity", [vector], name)
  }

  /** `largest`: the same constant at the largest sizes. */
  tensor(calls: ReadonlyArray<TensorCall>, largest: Value | undefined): void {
    const [first] = calls as [TensorCall]
    const { name, dtype } = first
    const whole = largest === undefined ? first : { shape: largest.shape, data: largest.data! }
    const isEqual = ({ shape, data }: TensorCall) =>
      sameShape(shape, whole.shape) && isLeading(data, shape, whole.data, whole.shape)
    const steps = calls.map(({ data, shape }) => progression(data, shape))
    const shape = () => this.#model.vector(this.#products(calls.map((call) => call.shape)), `${name}.shape`)
    if (calls.every(isEqual)) this.#model.tensor(name, dtype, whole.shape, whole.data)
    else if (calls.every(({ data }) => data.every((value) => value === first.data[0])))
      this.#model.node("Expand", [this.#model.tensor(`${name}.fill`, dtype, [], first.data.slice(0, 1)), shape()], name)
    else if (calls.every((call) => isLeading(call.data, call.shape, whole.data, whole.shape)))
      this.#model.leading(name, dtype, whole, shape())
    else if (dtype === "int32" && steps.every((step) => step !== undefined))
      this.#model.progression(
        name,
        shape(),
        this.#model.vector(this.#products(steps.map((step) => [step])), `${name}.step`)
      )
    else refuse(this.#program, `a constant of shape [${first.shape.join()}] depends on the inputs' sizes`)
  }

  node(calls: ReadonlyArray<Call>): void {
    const [first] = calls
    const text = JSON.stringify(first)
    if (first?._tag !== "Node" || calls.some((call) => JSON.stringify(call) !== text))
      return refuse(this.#program, "its operations depend on the inputs' sizes")
    this.#model.nodes.push(first.node)
  }
}

const mergeAll = (
  merge: Merge,
  program: FreeProgram,
  base: Sizes,
  traces: ReadonlyArray<ReadonlyArray<Call>>
): void => {
  const constants = largestConstants(program, base)
  let constant = 0
  traces[0]!.forEach((first, i) => {
    const calls = traces.map((trace) => trace[i]!)
    const alike = calls.every((call) => call._tag === first._tag)
    if (first._tag === "Integers" && alike)
      merge.integers(
        first.name,
        calls.map((call) => (call as typeof first).numbers)
      )
    else if (first._tag === "Tensor" && alike)
      merge.tensor(calls as ReadonlyArray<TensorCall>, first.constant ? constants[constant++] : undefined)
    else merge.node(calls)
  })
}

const outputShape = (values: ReadonlyArray<Value>, probes: ReadonlyArray<Sizes>) =>
  values[0]!.shape.map((size, axis) => {
    const product = productOf(
      values.map(({ shape }) => shape[axis]!),
      probes
    )
    return product?.sizes.length === 1 && product.factor === 1 ? product.sizes[0]! : size
  })

/** Bytes of an ONNX model with the weights inside. Throws an EngineError where the program's shape isn't one that can be freed. */
export const lowerFree = (program: FreeProgram): Uint8Array => {
  const base = firstSizes(program)
  const probes = probesOf(base)
  const graphs = probes.map((sizes) => captureAt(program, sizes))
  const traces = graphs.map(traceOf)
  if (traces.some((trace) => trace.length !== traces[0]!.length))
    refuse(program.name, "its operations depend on the inputs' sizes")
  const model = new FreeModel(program.inputs)
  for (const [name, { dtype }] of Object.entries(program.inputs)) {
    if (dtype === "int64") model.node("Cast", [name], `x:${name}`, { to: elementType.int32 })
    else model.node("Identity", [name], `x:${name}`)
  }
  const used = new Set(Object.keys(graphs[0]!.inputs))
  for (const [name, { dtype, shape, data }] of Object.entries(program.weights))
    if (used.has(`w:${name}`)) model.tensor(`w:${name}`, dtype, shape, data)
  mergeAll(new Merge(model, program.name, probes), program, base, traces)
  return encodeModel({
    name: program.name,
    nodes: model.nodes,
    inputs: Object.entries(program.inputs).map(([name, { dtype, shape }]) => ({ name, dtype, shape })),
    outputs: Object.keys(graphs[0]!.outputs).map((name) => {
      const values = graphs.map((graph) => graph.outputs[name]!)
      return { name, dtype: values[0]!.dtype, shape: outputShape(values, probes) }
    }),
    initializers: [...model.initializers.values()]
  })
}
