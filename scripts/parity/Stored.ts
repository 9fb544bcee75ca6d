/** Reading a case's files: tensors as the engine takes them, JSON, and the collection's images and texts. */
import { openSafetensors } from "@bootlace/data"
import type { Rgb } from "@bootlace/data"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { Effect } from "effect"
import { existsSync, readFileSync, readdirSync } from "node:fs"
import { join } from "node:path"

const isInteger = (dtype: string): boolean => /^[IU]\d|BOOL/.test(dtype)

/** Every tensor of a file: floats as float32, integers as int32. Undefined when there is no such file. */
export const readTensors = Effect.fnUntraced(function* (path: string) {
  if (!existsSync(path)) return undefined
  const file = yield* openSafetensors(path)
  const tensors: Record<string, HostTensor> = {}
  for (const [name, { dtype, shape }] of file.tensors) {
    const data = yield* file.float32(name)
    tensors[name] = isInteger(dtype)
      ? { shape, dtype: "int32", data: Int32Array.from(data) }
      : { shape, dtype: "float32", data }
  }
  return tensors as HostTensors
}, Effect.scoped)

/** Undefined when there is no such file. */
export const readJson = <A>(...path: ReadonlyArray<string>): A | undefined =>
  existsSync(join(...path)) ? (JSON.parse(readFileSync(join(...path), "utf8")) as A) : undefined

/** Names of a collection's images, in the order of their rows. */
export const imageNames = (collection: string): ReadonlyArray<string> => {
  const folder = join(collection, "images")
  return existsSync(folder) ? readdirSync(folder).toSorted() : []
}

export const imageBytes = (collection: string, name: string): Uint8Array =>
  new Uint8Array(readFileSync(join(collection, "images", name)))

const decodedFile = (collection: string): string => join(collection, "images_decoded_rgb.safetensors")

/** What Pillow decoded: names of images, some with `#exif_transposed` behind. */
export const decodedNames = Effect.fnUntraced(function* (collection: string) {
  const path = decodedFile(collection)
  return existsSync(path) ? [...(yield* openSafetensors(path)).tensors.keys()] : []
}, Effect.scoped)

export const decodedImage = Effect.fnUntraced(function* (collection: string, name: string) {
  const file = yield* openSafetensors(decodedFile(collection))
  const data = yield* file.bytes(name)
  const [height, width] = file.tensors.get(name)!.shape as [number, number]
  return { height, width, data } satisfies Rgb
}, Effect.scoped)
