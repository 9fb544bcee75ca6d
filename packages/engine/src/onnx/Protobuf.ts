/**
 * The part of ONNX's ModelProto that lowering writes (onnx.proto3, IR version 10), encoded by hand.
 */
import type { DType } from "../Program.ts"
import { bytes, float, integer, joined, message, text } from "../WireFormat.ts"
import type { Message } from "../WireFormat.ts"

export type OnnxType = DType | "int64" | "int8"

/** TensorProto.DataType */
export const elementType: Readonly<Record<OnnxType, number>> = { float32: 1, int8: 3, int32: 6, int64: 7, bool: 9 }

/** An attribute: an integer, integers, a string, or `{ float }`. */
export type OnnxAttribute = number | string | ReadonlyArray<number> | { readonly float: number }

export interface OnnxNode {
  readonly op: string
  readonly inputs: ReadonlyArray<string>
  readonly outputs: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, OnnxAttribute>>
  /** "" is ONNX's own; "com.microsoft" is ONNX Runtime's. */
  readonly domain: string
}

/** A node of ONNX's own with one output and no attributes. */
export const plainNode = (op: string, inputs: ReadonlyArray<string>, output: string): OnnxNode => ({
  op,
  inputs,
  outputs: [output],
  attributes: {},
  domain: ""
})

export interface OnnxValue {
  readonly name: string
  readonly dtype: OnnxType
  /** A word names a size that is free; absent, nothing is said of it. */
  readonly shape?: ReadonlyArray<number | string>
  /** A sequence of such tensors instead of one. */
  readonly sequence?: boolean
}

export interface OnnxInitializer extends OnnxValue {
  readonly shape: ReadonlyArray<number>
  readonly bytes: Uint8Array
}

export interface OnnxModel {
  readonly name: string
  readonly nodes: ReadonlyArray<OnnxNode>
  readonly inputs: ReadonlyArray<OnnxValue>
  readonly outputs: ReadonlyArray<OnnxValue>
  readonly initializers: ReadonlyArray<OnnxInitializer>
}

const opset = 21
const irVersion = 10

/** AttributeProto: f 2, i 3, s 4, ints 8; type 20 is FLOAT 1, INT 2, STRING 3 or INTS 7. */
function attribute([name, value]: readonly [string, OnnxAttribute]): Message {
  if (typeof value === "number") return message(5, text(1, name), integer(3, value), integer(20, 2))
  if (typeof value === "string") return message(5, text(1, name), text(4, value), integer(20, 3))
  if ("float" in value) return message(5, text(1, name), float(2, value.float), integer(20, 1))
  return message(5, text(1, name), ...value.map((one) => integer(8, one)), integer(20, 7))
}

const node = ({ op, inputs, outputs, attributes, domain }: OnnxNode): Message =>
  message(
    1,
    ...inputs.map((name) => text(1, name)),
    ...outputs.map((name) => text(2, name)),
    text(3, outputs[0]!),
    text(4, op),
    ...Object.entries(attributes).map(attribute),
    ...(domain === "" ? [] : [text(7, domain)])
  )

/** TensorProto with raw data, which is little-endian. */
const initializer = ({ name, dtype, shape, bytes: content }: OnnxInitializer): Message =>
  message(
    5,
    ...shape.map((length) => integer(1, length)),
    integer(2, elementType[dtype]),
    text(8, name),
    bytes(9, content)
  )

/** ValueInfoProto { name, type { tensor_type { elem_type, shape { dim { dim_value or dim_param } } } } }; sequence_type { elem_type { tensor_type } } */
function valueInfo(field: number, { name, dtype, shape, sequence }: OnnxValue): Message {
  const dimension = (size: number | string) => (typeof size === "number" ? integer(1, size) : text(2, size))
  const dimensions = shape === undefined ? [] : [message(2, ...shape.map((size) => message(1, dimension(size))))]
  const tensor = message(1, integer(1, elementType[dtype]), ...dimensions)
  return message(field, text(1, name), message(2, sequence === true ? message(4, message(1, tensor)) : tensor))
}

const operators = (domain: string, version: number): Message => message(8, text(1, domain), integer(2, version))

export function encodeModel(model: OnnxModel): Uint8Array {
  const graph = message(
    7,
    ...model.nodes.map(node),
    text(2, model.name),
    ...model.initializers.map(initializer),
    ...model.inputs.map((value) => valueInfo(11, value)),
    ...model.outputs.map((value) => valueInfo(12, value))
  )
  const parts = [
    ...integer(1, irVersion),
    ...text(2, "bootlace"),
    ...graph,
    ...operators("", opset),
    ...operators("com.microsoft", 1)
  ]
  return joined(parts)
}
