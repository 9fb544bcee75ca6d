/** Reads the parity cases' safetensors files: floats widened to float32, int64 narrowed to int32. For tests only. */
import { readFileSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"

export interface Stored {
  readonly shape: ReadonlyArray<number>
  readonly data: Float32Array | Int32Array | Uint8Array
}

const halfToFloat = (bits: number): number => {
  const [sign, exponent, fraction] = [bits & 0x8000 ? -1 : 1, (bits >> 10) & 31, bits & 1023]
  return exponent === 0 ? sign * fraction * 2 ** -24 : sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

const decoders: Record<string, (bytes: ArrayBuffer) => Stored["data"]> = {
  F32: (bytes) => new Float32Array(bytes),
  F16: (bytes) => Float32Array.from(new Uint16Array(bytes), halfToFloat),
  BF16: (bytes) => new Float32Array(Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer),
  I64: (bytes) => Int32Array.from(new BigInt64Array(bytes), Number),
  U8: (bytes) => new Uint8Array(bytes)
}

const parity = new URL("../../../test/parity/", import.meta.url)

export const readJson = <A>(path: string): A => JSON.parse(readFileSync(new URL(path, parity), "utf8")) as A
export const readText = (path: string): string => readFileSync(new URL(path, parity), "utf8")

export const readTensors = (path: string): Record<string, Stored> => {
  const file = readFileSync(new URL(path, parity))
  const start = 8 + Number(file.readBigUInt64LE(0))
  const header = JSON.parse(file.subarray(8, start).toString()) as Record<
    string,
    { dtype: string; shape: Array<number>; data_offsets: [number, number] }
  >
  return Object.fromEntries(
    Object.entries(header)
      .filter(([name]) => name !== "__metadata__")
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [from, to]
          }
        ]) => {
          const bytes = new Uint8Array(file.subarray(start + from, start + to)).buffer
          return [name, { shape, data: decoders[dtype]!(bytes) }]
        }
      )
  )
}

export const toTensor = ({ shape, data }: Stored): Tensor =>
  tf.tensor(data, [...shape], data instanceof Float32Array ? "float32" : "int32")
