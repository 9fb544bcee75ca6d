/**
 * Pixels: files decoded here against Pillow's decoding; then resized, cropped and scaled as each library does it, from the
 * files and from Pillow's pixels.
 */
import { decodeImage, processImage, processRgb } from "@bootlace/data"
import type { Preprocess, Processor } from "@bootlace/data"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { Effect } from "effect"
import { join } from "node:path"
import { maxDifference, worstOf } from "./Check.ts"
import type { Check } from "./Check.ts"
import { decodedImage, decodedNames, imageBytes, imageNames, readJson } from "./Stored.ts"

const isJpeg = (name: string): boolean => /\.jpe?g$/i.test(name)
const TURNED = "#exif_transposed"

const distance = (actual: ArrayLike<number>, expected: ArrayLike<number>): number =>
  actual.length === expected.length ? maxDifference(actual, expected) : Infinity

/** JPEG decoders may differ by two grey levels; PNG is exact. */
export const decodingChecks = Effect.fnUntraced(function* (collection: string) {
  const names = yield* decodedNames(collection)
  const error = Effect.fnUntraced(function* (name: string) {
    const [file, turned] = [name.replace(TURNED, ""), name.endsWith(TURNED)]
    const decoded = yield* decodeImage(imageBytes(collection, file), { exif: turned ? "apply" : "ignore" })
    const expected = yield* decodedImage(collection, name)
    return decoded.width === expected.width ? distance(decoded.data, expected.data) : Infinity
  })
  const jpegs = names.filter((name) => isJpeg(name.replace(TURNED, "")))
  const others = names.filter((name) => !jpegs.includes(name))
  return [
    ...(others.length > 0 ? [yield* worstOf("decoded PNG", others, 0, error)] : []),
    ...(jpegs.length > 0 ? [yield* worstOf("decoded JPEG, grey levels", jpegs, 2, error)] : [])
  ]
})

const processors: Readonly<Record<string, Processor>> = {
  pixel_values_pil: "transformers_pillow",
  pixel_values_torchvision: "transformers_torchvision"
}

interface Pixels {
  readonly collection: string
  readonly names: ReadonlyArray<string>
  readonly preprocess: Preprocess
  readonly processor: Processor
  readonly upright: boolean
  readonly expected: HostTensor
}

const expectedRow = ({ expected, names }: Pixels, name: string): ArrayLike<number> => {
  const size = expected.shape.slice(1).reduce((product, side) => product * side, 1)
  const row = names.indexOf(name)
  return expected.data.subarray(row * size, (row + 1) * size)
}

/** torch computes in 16 bits or more, by the machine: one level of 255 is about 0.015. */
const toleranceOf = (processor: Processor): number => (processor === "transformers_torchvision" ? 0.016 : 1e-6)

const fromFiles = Effect.fnUntraced(function* (check: string, at: Pixels) {
  const error = (name: string) =>
    processImage(imageBytes(at.collection, name), at.preprocess, at.processor, {
      exif: at.upright ? "apply" : "ignore"
    }).pipe(Effect.map((pixels) => distance(pixels, expectedRow(at, name))))
  const jpegs = at.names.filter(isJpeg)
  const others = at.names.filter((name) => !isJpeg(name))
  return [
    ...(others.length > 0 ? [yield* worstOf(`${check} of PNG files`, others, toleranceOf(at.processor), error)] : []),
    ...(jpegs.length > 0 ? [yield* worstOf(`${check} of JPEG files`, jpegs, 0.03, error)] : [])
  ]
})

interface ImageEntry {
  readonly file: string
  readonly mode: string
}

/** Images without alpha and palette: what Pillow calls RGB and L. Their RGB pixels say everything. */
const isPlain = (collection: string): ((name: string) => boolean) => {
  const entries = readJson<ReadonlyArray<ImageEntry>>(collection, "images.json") ?? []
  const modes = new Map(entries.map(({ file, mode }) => [file, mode]))
  return (name) => ["RGB", "L"].includes(modes.get(name) ?? (isJpeg(name) ? "RGB" : ""))
}

const fromDecoded = Effect.fnUntraced(function* (check: string, at: Pixels) {
  const known = yield* decodedNames(at.collection)
  const names = at.names.filter(isPlain(at.collection)).filter((name) => known.includes(name))
  if (names.length === 0) return []
  const error = Effect.fnUntraced(function* (name: string) {
    const rgb = yield* decodedImage(at.collection, at.upright && known.includes(name + TURNED) ? name + TURNED : name)
    return distance(processRgb(rgb, at.preprocess, at.processor), expectedRow(at, name))
  })
  return [yield* worstOf(`${check} of decoded images`, names, toleranceOf(at.processor), error)]
})

/** Every tensor of pixels among a case's expectations. `names`: the images of its rows, all of them unless fewer are there. */
export const pixelChecks = Effect.fnUntraced(function* (
  collection: string,
  folder: string,
  preprocess: Preprocess,
  plain: Processor,
  expected: HostTensors
) {
  const given = readJson<{ readonly image_names?: ReadonlyArray<string> }>(join(folder, "inputs.json"))
  const all = given?.image_names ?? imageNames(collection)
  const checks: Array<Check> = []
  for (const [key, tensor] of Object.entries(expected)) {
    if (!key.startsWith("pixel_values")) continue
    const upright = key.endsWith("_exif")
    const processor = processors[key.replace(/_exif$/, "")] ?? plain
    const names = all.slice(0, tensor.shape[0])
    const at: Pixels = { collection, names, preprocess, processor, upright, expected: tensor }
    checks.push(...(yield* fromFiles(key, at)), ...(yield* fromDecoded(key, at)))
  }
  return checks
})
