/** The binding of @tensorflow/tfjs-node-gpu (its tfjs_binding.node), as far as whole graphs need it. */
import { createRequire } from "node:module"
import type { DType, HostTensor } from "../Program.ts"

export interface TensorInfo {
  readonly id: number
  readonly shape: ReadonlyArray<number>
  /** TensorFlow's number of it. */
  readonly dtype: number
}

interface OpAttribute {
  readonly name: string
  readonly type: number
  readonly value: number
}

export interface Binding {
  readonly TF_Version: string
  readonly TF_ATTR_TYPE: number
  readonly isUsingGpuDevice: () => boolean
  readonly createTensor: (shape: ReadonlyArray<number>, dtype: number, data: HostTensor["data"]) => number
  readonly deleteTensor: (id: number) => void
  readonly tensorDataSync: (id: number) => HostTensor["data"]
  readonly executeOp: (
    op: string,
    attributes: ReadonlyArray<OpAttribute>,
    inputs: ReadonlyArray<number>,
    outputs: number
  ) => ReadonlyArray<TensorInfo>
  readonly loadSavedModel: (folder: string, tags: string) => number
  readonly deleteSavedModel: (model: number) => void
  /** `feeds` and `fetches` are names of tensors with commas between. */
  readonly runSavedModel: (
    model: number,
    inputs: ReadonlyArray<number>,
    feeds: string,
    fetches: string
  ) => ReadonlyArray<TensorInfo>
}

const dtypes: Readonly<Record<DType, number>> = { float32: 1, int32: 3, bool: 10 }
const names: ReadonlyMap<number, DType> = new Map(
  Object.entries(dtypes).map(([name, number]) => [number, name as DType])
)

export const typeNumber = (dtype: DType): number => dtypes[dtype]

export const loadBinding = (file: string): Binding => createRequire(import.meta.url)(file) as Binding

/** A tensor that shares the array's memory. */
export const borrowed = (binding: Binding, { shape, dtype, data }: HostTensor): number =>
  binding.createTensor(shape, dtypes[dtype], data)

/** A copy in TensorFlow's own memory. */
export function copied(binding: Binding, { id, dtype }: TensorInfo): TensorInfo {
  const type = { name: "T", type: binding.TF_ATTR_TYPE, value: dtype }
  return binding.executeOp("DeepCopy", [type], [id], 1)[0]!
}

/**
 * A tensor in TensorFlow's own memory. One that borrows an array must not get into a variable: whichever of TensorFlow's threads lets go of
 * it last would call into JavaScript.
 */
export function owned(binding: Binding, tensor: HostTensor): TensorInfo {
  const id = borrowed(binding, tensor)
  const copy = copied(binding, { id, shape: tensor.shape, dtype: dtypes[tensor.dtype] })
  binding.deleteTensor(id)
  return copy
}

export const hostTensor = (binding: Binding, { id, shape, dtype }: TensorInfo): HostTensor => ({
  shape,
  dtype: names.get(dtype)!,
  data: binding.tensorDataSync(id)
})
