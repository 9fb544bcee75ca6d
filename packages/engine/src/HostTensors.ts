/** Tensors on the host by name: building, renaming and describing sets of them. */
import { showShape, sizeOf } from "./Graph.ts"
import type { HostTensors, Specs } from "./Program.ts"

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

/** One string per set of names, shapes and dtypes. */
export const shapeKey = (tensors: HostTensors): string =>
  Object.keys(tensors)
    .sort()
    .map((name) => `${name}:${tensors[name]!.dtype}${showShape(tensors[name]!.shape)}`)
    .join(" ")

/** The first NaN or infinity among float32 tensors, in words. */
export function firstNonFinite(tensors: HostTensors): string | undefined {
  for (const [name, { data, shape }] of Object.entries(tensors)) {
    if (!(data instanceof Float32Array)) continue
    const at = data.findIndex((element) => !Number.isFinite(element))
    if (at < 0) continue
    const row = shape.length === 0 ? "" : ` (row ${Math.floor(at / (data.length / shape[0]!))})`
    return `${name} is ${data[at]}${row}`
  }
  return undefined
}
