/** What is done to tensors that stay in TensorFlow by single operations, outside a graph. */
import { arrayClass } from "../HostTensors.ts"
import type { HostTensor, TensorSpec } from "../Program.ts"
import { borrowed, typeNumber } from "./Binding.ts"
import type { Binding, TensorInfo } from "./Binding.ts"

const integers = (data: Int32Array): HostTensor => ({ shape: [data.length], dtype: "int32", data })

interface Operation {
  readonly op: string
  /** Types by the attribute's name. */
  readonly types: Readonly<Record<string, number>>
  readonly inputs: ReadonlyArray<number>
}

function apply(binding: Binding, { op, types, inputs }: Operation): TensorInfo {
  const attributes = Object.entries(types).map(([name, value]) => ({ name, type: binding.TF_ATTR_TYPE, value }))
  return binding.executeOp(op, attributes, inputs, 1)[0]!
}

/** Calls `use` with a tensor of these integers, which goes afterwards. */
function withIntegers<A>(binding: Binding, data: Int32Array, use: (id: number) => A): A {
  const id = borrowed(binding, integers(data))
  try {
    return use(id)
  } finally {
    binding.deleteTensor(id)
  }
}

const int32 = 3

/** Made where it stays: an array of JavaScript's would be in memory too. */
export function zerosOf(binding: Binding, { shape, dtype }: TensorSpec): TensorInfo {
  const zero = borrowed(binding, { shape: [], dtype, data: new arrayClass[dtype](1) })
  const filled = withIntegers(binding, Int32Array.from(shape), (sizes) =>
    apply(binding, { op: "Fill", types: { T: typeNumber(dtype), index_type: int32 }, inputs: [sizes, zero] })
  )
  binding.deleteTensor(zero)
  return filled
}

/** These rows of the first axis. */
export const rowsOf = (binding: Binding, { id, dtype }: TensorInfo, rows: Int32Array): TensorInfo =>
  withIntegers(binding, rows, (positions) =>
    apply(binding, { op: "Gather", types: { Tparams: dtype, Tindices: int32 }, inputs: [id, positions] })
  )

const reshaped = (binding: Binding, { id, dtype }: TensorInfo, shape: ReadonlyArray<number>): TensorInfo =>
  withIntegers(binding, Int32Array.from(shape), (sizes) =>
    apply(binding, { op: "Reshape", types: { T: dtype, Tshape: int32 }, inputs: [id, sizes] })
  )

/**
 * `into` with `from` cut into as many blocks as there are places, and each written to its place. A reshaped tensor shares its memory and
 * InplaceUpdate writes where it stands, so nothing but the blocks is copied.
 */
export function blocksWritten(binding: Binding, into: TensorInfo, from: TensorInfo, places: Int32Array): TensorInfo {
  const size = from.shape.reduce((product, length) => product * length, 1) / places.length
  const blocks = reshaped(binding, into, [-1, size])
  const given = reshaped(binding, from, [-1, size])
  const updated = withIntegers(binding, places, (positions) =>
    apply(binding, { op: "InplaceUpdate", types: { T: into.dtype }, inputs: [blocks.id, positions, given.id] })
  )
  const result = reshaped(binding, updated, into.shape)
  for (const { id } of [blocks, given, updated]) binding.deleteTensor(id)
  return result
}
