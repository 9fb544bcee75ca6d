/**
 * The safetensors format: u64 little-endian header length, JSON header, raw little-endian tensors.
 *
 * The header must describe the file exactly: known dtypes, lengths that match the shapes, tensors that follow one another with
 * no overlap and no hole up to the last byte. So a file holds nothing but what it names. Tensors are read one by one.
 */
import * as Effect from "effect/Effect"
import { attempt, DataError } from "./DataError.ts"
import { openScoped, writeFile } from "./Files.ts"
import { parseJson } from "./Json.ts"
import { defaultLimits, overLimit } from "./limits.ts"
import type { Limits } from "./limits.ts"

/** Bytes per element. */
const dtypeBytes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8
} as const

export type Dtype = keyof typeof dtypeBytes

export interface TensorInfo {
  readonly dtype: Dtype
  readonly shape: ReadonlyArray<number>
  /** Bytes from the end of the header. */
  readonly offset: number
  readonly byteLength: number
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, TensorInfo>
  readonly metadata: Readonly<Record<string, string>>
}

const bad = (file: string, detail: string): DataError => new DataError({ code: "BadSafetensors", file, detail })

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Elements of a shape, checked at every factor so that no product overflows. */
const sizeOf = (shape: ReadonlyArray<number>, file: string, name: string): number =>
  shape.reduce((size, side) => {
    if (!Number.isSafeInteger(size * side)) throw bad(file, `tensor ${name}: shape [${shape.join()}] is too large`)
    return size * side
  }, 1)

const parseTensor = (name: string, entry: unknown, file: string): TensorInfo => {
  if (!isObject(entry)) throw bad(file, `tensor ${name} is described by ${JSON.stringify(entry)}, not by an object`)
  const { dtype, shape, data_offsets: offsets } = entry
  if (typeof dtype !== "string" || !Object.hasOwn(dtypeBytes, dtype)) {
    throw bad(
      file,
      `tensor ${name} has dtype ${JSON.stringify(dtype)}; known are ${Object.keys(dtypeBytes).join(", ")}`
    )
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) throw bad(file, `tensor ${name} has no valid shape`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount) || offsets[0]! > offsets[1]!) {
    throw bad(file, `tensor ${name} has no valid data_offsets`)
  }
  const byteLength = offsets[1]! - offsets[0]!
  const needed = sizeOf(shape, file, name) * dtypeBytes[dtype as Dtype]
  if (needed !== byteLength) {
    throw bad(file, `tensor ${name}: ${dtype} [${shape.join()}] needs ${needed} bytes, data_offsets give ${byteLength}`)
  }
  return { dtype: dtype as Dtype, shape, offset: offsets[0]!, byteLength }
}

const parseMetadata = (value: unknown, file: string): Record<string, string> => {
  if (value === undefined) return {}
  if (!isObject(value) || !Object.values(value).every((text) => typeof text === "string")) {
    throw bad(file, "__metadata__ must map names to strings")
  }
  return value as Record<string, string>
}

/**
 * Parses and checks a header against the length of the data after it. Throws BadSafetensors, BadJson, BadText or OverLimit.
 */
export const parseSafetensorsHeader = (
  json: Uint8Array,
  dataLength: number,
  limits: Limits,
  file: string
): SafetensorsHeader => {
  const header = parseJson(json, { ...limits, json_bytes: limits.safetensors_header_bytes }, { file })
  if (!isObject(header)) throw bad(file, "header is no JSON object")
  const entries = Object.entries(header).filter(([name]) => name !== "__metadata__")
  const tooMany = overLimit(limits, "safetensors_tensors", entries.length, { file })
  if (tooMany !== undefined) throw tooMany
  const tensors = entries.map(([name, entry]) => [name, parseTensor(name, entry, file)] as const)
  const byOffset = tensors.toSorted(([, a], [, b]) => a.offset - b.offset || a.byteLength - b.byteLength)
  let end = 0
  for (const [name, tensor] of byOffset) {
    if (tensor.offset !== end) {
      throw bad(file, `tensor ${name} starts at byte ${tensor.offset}; the tensor before it ends at ${end}`)
    }
    end += tensor.byteLength
  }
  if (end !== dataLength) throw bad(file, `tensors end at byte ${end} of ${dataLength}`)
  return { tensors: new Map(tensors), metadata: parseMetadata(header["__metadata__"], file) }
}

/** An open safetensors file. */
export interface Safetensors extends SafetensorsHeader {
  readonly file: string
  /** The raw bytes of one tensor. Fails with BadSafetensors for a name that isn't there. */
  readonly bytes: (name: string) => Effect.Effect<Uint8Array<ArrayBuffer>, DataError>
  /**
   * One tensor as float32; F16, BF16, F64 and integers are converted. With `rows`: only rows [start, end) of its first axis are
   * read.
   */
  readonly float32: (
    name: string,
    rows?: readonly [number, number]
  ) => Effect.Effect<Float32Array<ArrayBuffer>, DataError>
}

/** Opens a file and checks its header; tensors are read on demand until the scope closes. */
export const openSafetensors = Effect.fnUntraced(function* (path: string, limits: Limits = defaultLimits) {
  const file = yield* openScoped(path)
  if (file.size < 8) return yield* bad(path, `${file.size} bytes are too few for a header`)
  const prefix = yield* file.read(0, 8)
  const headerLength = new DataView(prefix.buffer).getBigUint64(0, true)
  const tooLong = overLimit(limits, "safetensors_header_bytes", Number(headerLength), { file: path })
  if (tooLong !== undefined) return yield* tooLong
  const dataStart = 8 + Number(headerLength)
  if (dataStart > file.size) return yield* bad(path, `header of ${headerLength} bytes is longer than the file`)
  const json = yield* file.read(8, Number(headerLength))
  const header = yield* attempt({ code: "BadSafetensors", file: path }, () =>
    parseSafetensorsHeader(json, file.size - dataStart, limits, path)
  )
  const find = (name: string): Effect.Effect<TensorInfo, DataError> => {
    const info = header.tensors.get(name)
    return info === undefined ? Effect.fail(bad(path, `no tensor ${name}`)) : Effect.succeed(info)
  }
  const bytes = Effect.fnUntraced(function* (name: string) {
    const info = yield* find(name)
    return yield* file.read(dataStart + info.offset, info.byteLength)
  })
  const float32 = Effect.fnUntraced(function* (name: string, rows?: readonly [number, number]) {
    const info = yield* find(name)
    if (rows === undefined) return toFloat32(info.dtype, yield* bytes(name))
    const [start, end] = rows
    const count = info.shape[0] ?? 0
    if (!(start >= 0 && start <= end && end <= count)) {
      return yield* bad(path, `tensor ${name} has ${count} rows; rows ${start} to ${end} were asked for`)
    }
    const rowBytes = info.byteLength / count
    return toFloat32(info.dtype, yield* file.read(dataStart + info.offset + start * rowBytes, (end - start) * rowBytes))
  })
  const opened: Safetensors = { ...header, file: path, bytes, float32 }
  return opened
})

const bfloat16ToFloat32 = (raw: Uint16Array): Float32Array<ArrayBuffer> => {
  const bits = new Uint32Array(raw.length)
  for (let i = 0; i < raw.length; i++) bits[i] = raw[i]! << 16
  return new Float32Array(bits.buffer)
}

/** IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction. */
const float16ToFloat32 = (raw: Uint16Array): Float32Array<ArrayBuffer> =>
  Float32Array.from(raw, (half) => {
    const exponent = (half >> 10) & 31
    const fraction = half & 1023
    const magnitude =
      exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1024 + fraction) * 2 ** (exponent - 25)
    return half & 0x8000 ? -magnitude : magnitude
  })

/** `bytes` start at offset 0 of their own buffer. */
const toFloat32 = (dtype: Dtype, { buffer }: Uint8Array<ArrayBuffer>): Float32Array<ArrayBuffer> => {
  switch (dtype) {
    case "F32":
      return new Float32Array(buffer)
    case "F16":
      return float16ToFloat32(new Uint16Array(buffer))
    case "BF16":
      return bfloat16ToFloat32(new Uint16Array(buffer))
    case "F64":
      return new Float32Array(new Float64Array(buffer))
    case "I64":
      return Float32Array.from(new BigInt64Array(buffer), Number)
    case "U64":
      return Float32Array.from(new BigUint64Array(buffer), Number)
    case "I32":
      return new Float32Array(new Int32Array(buffer))
    case "U32":
      return new Float32Array(new Uint32Array(buffer))
    case "I16":
      return new Float32Array(new Int16Array(buffer))
    case "U16":
      return new Float32Array(new Uint16Array(buffer))
    case "I8":
      return new Float32Array(new Int8Array(buffer))
    case "U8":
    case "BOOL":
      return new Float32Array(new Uint8Array(buffer))
  }
}

/** A tensor to write: its bytes are the little-endian elements of `data`. */
export interface TensorData {
  readonly dtype: Dtype
  readonly shape: ReadonlyArray<number>
  readonly data: ArrayBufferView
}

/**
 * The parts of a file, in order; equal input gives equal bytes. Wide dtypes come first, then names in order, so that every
 * tensor is aligned to its elements.
 */
export const encodeSafetensors = (
  tensors: Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {}
): ReadonlyArray<Uint8Array> => {
  const names = Object.keys(tensors).toSorted((a, b) => {
    const width = dtypeBytes[tensors[b]!.dtype] - dtypeBytes[tensors[a]!.dtype]
    return width !== 0 ? width : a < b ? -1 : 1
  })
  const header = new Map<string, unknown>(Object.keys(metadata).length === 0 ? [] : [["__metadata__", metadata]])
  let offset = 0
  for (const name of names) {
    const { dtype, shape, data } = tensors[name]!
    const needed = sizeOf(shape, name, name) * dtypeBytes[dtype]
    if (needed !== data.byteLength) {
      throw bad(name, `${dtype} [${shape.join()}] needs ${needed} bytes, got ${data.byteLength}`)
    }
    header.set(name, { dtype, shape, data_offsets: [offset, (offset += data.byteLength)] })
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)))
  // Spaces after the header align the first tensor to 8 bytes, so that readers can map it.
  const padded = new Uint8Array(Math.ceil(json.length / 8) * 8).fill(0x20)
  padded.set(json)
  const prefix = new Uint8Array(8)
  new DataView(prefix.buffer).setBigUint64(0, BigInt(padded.length), true)
  const bodies = names.map((name) => {
    const { data } = tensors[name]!
    return new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  })
  return [prefix, padded, ...bodies]
}

/** Writes a new file and flushes it to the disk. */
export const writeSafetensors = Effect.fnUntraced(function* (
  path: string,
  tensors: Readonly<Record<string, TensorData>>,
  metadata: Readonly<Record<string, string>> = {}
) {
  const parts = yield* attempt({ code: "BadSafetensors", file: path }, () => encodeSafetensors(tensors, metadata))
  yield* writeFile(path, parts)
})
