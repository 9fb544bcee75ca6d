/** Named host tensors to the bytes of one safetensors file and back: models and training checkpoints. */
import { defaultLimits, encodeSafetensors, parseSafetensorsHeader } from "@bootlace/data"
import type { Dtype, TensorInfo } from "@bootlace/data"
import type { DType, HostTensor, HostTensors } from "@bootlace/engine"

const stored = { float32: "F32", int32: "I32", bool: "BOOL" } as const satisfies Record<DType, Dtype>

/** The file in parts, of which the large ones are the tensors' own memory. Equal tensors give equal bytes. */
export const tensorParts = (tensors: HostTensors): ReadonlyArray<Uint8Array> =>
  encodeSafetensors(
    Object.fromEntries(
      Object.entries(tensors).map(([name, { dtype, shape, data }]) => [name, { dtype: stored[dtype], shape, data }])
    )
  )

/** The file in one piece. */
export const encodeTensors = (tensors: HostTensors): Uint8Array<ArrayBuffer> => {
  const parts = tensorParts(tensors)
  const bytes = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

const elements = (shape: ReadonlyArray<number>): number => shape.reduce((size, side) => size * side, 1)

/**
 * The file of float32 tensors that are still to be filled in, and the tensors, which are parts of it: what is read into them one
 * by one is a file already, and in memory once.
 */
export const openTensorFile = (shapes: Readonly<Record<string, ReadonlyArray<number>>>) => {
  const names = Object.keys(shapes).toSorted()
  const total = 4 * names.reduce((sum, name) => sum + elements(shapes[name]!), 0)
  const tensorsAt = (buffer: ArrayBuffer, start: number): HostTensors => {
    let at = start
    const tensors: Record<string, HostTensor> = {}
    for (const name of names) {
      const shape = shapes[name]!
      const data = new Float32Array(buffer, at, elements(shape))
      at += data.byteLength
      tensors[name] = { dtype: "float32", shape, data }
    }
    return tensors
  }
  // Only the sizes make the header: this memory is never touched.
  const [prefix, header] = tensorParts(tensorsAt(new ArrayBuffer(total), 0))
  const start = prefix!.length + header!.length
  const file = new Uint8Array(start + total)
  file.set(prefix!)
  file.set(header!, prefix!.length)
  return { file, tensors: tensorsAt(file.buffer, start) }
}

const decode = (name: string, { dtype, shape }: TensorInfo, bytes: Uint8Array): HostTensor => {
  const { buffer, byteOffset, byteLength } = bytes
  switch (dtype) {
    case "F32":
      return { dtype: "float32", shape, data: new Float32Array(buffer, byteOffset, byteLength / 4) }
    case "I32":
      return { dtype: "int32", shape, data: new Int32Array(buffer, byteOffset, byteLength / 4) }
    case "BOOL":
      return { dtype: "bool", shape, data: bytes }
    default:
      throw new Error(`tensor ${name} is stored as ${dtype}; expected F32, I32 or BOOL`)
  }
}

/**
 * `in_place`: the tensors are parts of `bytes` where these are aligned to elements, so that a large file is in memory once; else
 * each is a copy. Throws a DataError, or an Error for a dtype that `encodeTensors` never writes.
 */
export const decodeTensors = (bytes: Uint8Array, file: string, in_place = false): HostTensors => {
  const length = bytes.length < 8 ? 0 : Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  if (8 + length > bytes.length)
    throw new Error(`${file} is cut: its header of ${length} bytes is longer than the file`)
  const header = parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length - 8 - length, defaultLimits, file)
  const tensors: Record<string, HostTensor> = {}
  for (const [name, info] of header.tensors) {
    const start = 8 + length + info.offset
    const part = bytes.subarray(start, start + info.byteLength)
    const isAligned = part.byteOffset % 4 === 0
    tensors[name] = decode(name, info, in_place && isAligned ? part : new Uint8Array(part))
  }
  return tensors
}
