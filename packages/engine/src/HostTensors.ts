/** Tensors on the host by name: building, renaming and describing sets of them. */
import { showShape, sizeOf } from "./Graph.ts"
import type { HostTensor, HostTensors, Specs } from "./Program.ts"

/** The array class of each dtype. */
export const arrayClass = { float32: Float32Array, int32: Int32Array, bool: Uint8Array } as const

export const zeros = (specs: Specs): HostTensors =>
  mapTensors(specs, ({ dtype, shape }) => ({ dtype, shape, data: new arrayClass[dtype](sizeOf(shape)) }))

export const mapTensors = <A, B>(
  all: Readonly<Record<string, A>>,
  f: (one: A, name: string) => B
): Readonly<Record<string, B>> => Object.fromEntries(Object.entries(all).map(([name, one]) => [name, f(one, name)]))

export const prefixed = <A>(prefix: string, all: Readonly<Record<string, A>>): Readonly<Record<string, A>> =>
  Object.fromEntries(Object.entries(all).map(([name, one]) => [prefix + name, one]))

/** The entries under a prefix, named without it. */
export const under = <A>(prefix: string, all: Readonly<Record<string, A>>): Readonly<Record<string, A>> =>
  Object.fromEntries(
    Object.entries(all)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, one]) => [name.slice(prefix.length), one])
  )

export const specsOf = (tensors: HostTensors): Specs => mapTensors(tensors, ({ shape, dtype }) => ({ shape, dtype }))

/** The same values in memory of their own. */
export const copies = (tensors: HostTensors): HostTensors =>
  mapTensors(tensors, (tensor) => ({ ...tensor, data: tensor.data.slice() }))

/** The arrays' memory. Cloning a message would hold all tensors three times for a moment, so they are moved. */
export const buffersOf = (tensors: HostTensors): ReadonlyArray<ArrayBuffer> => [
  ...new Set(Object.values(tensors).map(({ data }) => data.buffer as ArrayBuffer))
]

/** One string per set of names, shapes and dtypes. */
export const shapeKey = (tensors: Specs): string =>
  Object.keys(tensors)
    .sort()
    .map((name) => `${name}:${tensors[name]!.dtype}${showShape(tensors[name]!.shape)}`)
    .join(" ")

/** Cuts `from` into as many blocks as there are places and writes each to its place in `to`. */
export function writeBlocks(to: HostTensor["data"], from: HostTensor["data"], places: Int32Array): void {
  const size = from.length / places.length
  places.forEach((place, i) => to.set(from.subarray(i * size, (i + 1) * size), place * size))
}

/** These rows of the first axis, in memory of their own. */
export function takeRows({ shape, dtype, data }: HostTensor, rows: Int32Array): HostTensor {
  const size = data.length / shape[0]!
  const taken = new (data.constructor as Float32ArrayConstructor)(rows.length * size)
  rows.forEach((row, i) => taken.set(data.subarray(row * size, (row + 1) * size), i * size))
  return { shape: [rows.length, ...shape.slice(1)], dtype, data: taken }
}

/** A plain loop: logits of a whole vocabulary pass by at every token. */
function nonFiniteAt(data: Float32Array): number {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i
  return -1
}

/** The first NaN or infinity among float32 tensors, in words. */
export function firstNonFinite(tensors: HostTensors): string | undefined {
  for (const [name, { data, shape }] of Object.entries(tensors)) {
    if (!(data instanceof Float32Array)) continue
    const at = nonFiniteAt(data)
    if (at < 0) continue
    const row = shape.length === 0 ? "" : ` (row ${Math.floor(at / (data.length / shape[0]!))})`
    return `${name} is ${data[at]}${row}`
  }
  return undefined
}

/** A scalar that a run gave. */
export const numberOf = (tensor: HostTensor | undefined): number => tensor?.data[0] ?? Number.NaN

/** The names under a prefix, without it. */
export const namesUnder = (prefix: string, names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length))
