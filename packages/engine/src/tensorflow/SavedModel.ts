/**
 * The part of TensorFlow's SavedModel that lowering writes (saved_model.proto, graph.proto), encoded by hand: one graph of nodes, no
 * variables' files and no signatures, because the binding finds tensors by their names in the graph.
 */
import type { DType } from "../Program.ts"
import { bytes, float, integer, joined, message, text } from "../WireFormat.ts"
import type { Message } from "../WireFormat.ts"

export type TensorflowType = DType | "bfloat16" | "resource"

/** types.proto's DataType */
export const elementType: Readonly<Record<TensorflowType, number>> = {
  float32: 1,
  int32: 3,
  bool: 10,
  bfloat16: 14,
  resource: 20
}

/** AttrValue; a tensor's bytes are its elements, or one number that stands in all of them. */
export type TensorflowAttribute =
  | { readonly type: TensorflowType }
  | { readonly int: number }
  | { readonly float: number }
  | { readonly bool: boolean }
  | { readonly string: string }
  | { readonly shape: ReadonlyArray<number> }
  | {
      readonly tensor: {
        readonly dtype: DType
        readonly shape: ReadonlyArray<number>
        readonly content: Uint8Array | number
      }
    }

export interface TensorflowNode {
  readonly name: string
  readonly op: string
  /** Names of nodes, `name:1` for a further output, `^name` for an edge that only orders. */
  readonly inputs: ReadonlyArray<string>
  readonly attributes: Readonly<Record<string, TensorflowAttribute>>
}

/** The GraphDef version from which today's kernels behave as they do, and the oldest reader of one. */
const producer = 1882
const minConsumer = 12

/** TensorShapeProto { dim { size } } */
const shapeProto = (shape: ReadonlyArray<number>): Message => shape.flatMap((length) => message(2, integer(1, length)))

/** TensorProto: dtype 1, shape 2, tensor_content 4, float_val 5, int_val 7, bool_val 11. */
function tensorProto(dtype: DType, shape: ReadonlyArray<number>, content: Uint8Array | number): Message {
  const head = [...integer(1, elementType[dtype]), ...message(2, shapeProto(shape))]
  if (typeof content !== "number") return [...head, ...bytes(4, content)]
  if (dtype === "float32") return [...head, ...float(5, content)]
  return [...head, ...integer(dtype === "int32" ? 7 : 11, content)]
}

/** AttrValue: s 2, i 3, f 4, b 5, type 6, shape 7, tensor 8. */
function attribute(value: TensorflowAttribute): Message {
  if ("type" in value) return integer(6, elementType[value.type])
  if ("int" in value) return integer(3, value.int)
  if ("float" in value) return float(4, value.float)
  if ("bool" in value) return integer(5, Number(value.bool))
  if ("string" in value) return text(2, value.string)
  if ("shape" in value) return message(7, shapeProto(value.shape))
  const { dtype, shape, content } = value.tensor
  return message(8, tensorProto(dtype, shape, content))
}

/** NodeDef: name 1, op 2, input 3, attr 5 as a map of key 1 and value 2. */
const node = ({ name, op, inputs, attributes }: TensorflowNode): Message =>
  message(
    1,
    text(1, name),
    text(2, op),
    ...inputs.map((input) => text(3, input)),
    ...Object.entries(attributes).map(([key, value]) => message(5, text(1, key), message(2, attribute(value))))
  )

/** SavedModel { schema version 1, MetaGraphDef { tags [serve], GraphDef } } */
export function encodeSavedModel(nodes: ReadonlyArray<TensorflowNode>): Uint8Array {
  const versions = message(4, integer(1, producer), integer(2, minConsumer))
  const graph = message(2, ...nodes.map(node), versions)
  return joined([...integer(1, 1), ...message(2, message(1, text(4, "serve")), graph)])
}
