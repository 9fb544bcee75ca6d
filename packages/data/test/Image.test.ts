import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { decodeImage, Files, openSafetensors, preprocess, sha256 } from "../src/index.ts"
import type { Preprocess, Rgb } from "../src/index.ts"

const parity = new URL("../../../test/parity/", import.meta.url).pathname
const names = readdirSync(`${parity}images`).sort()
const encoded = (name: string): Uint8Array => readFileSync(`${parity}images/${name}`)

const pillowPixels = Effect.gen(function* () {
  const file = yield* openSafetensors(`${parity}images_decoded_rgb.safetensors`)
  return yield* Effect.forEach([...file.tensors.keys()], (name) =>
    Effect.map(file.bytes(name), (data): readonly [string, Rgb] => {
      const [height, width] = file.tensors.get(name)!.shape
      return [name, { height: height!, width: width!, data }]
    })
  ).pipe(Effect.map((entries) => new Map(entries)))
}).pipe(Effect.scoped, Effect.provide(Files.layer))

const maxDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.strictEqual(a.length, b.length)
  let max = 0
  for (let i = 0; i < a.length; i++) max = Math.max(max, Math.abs(a[i]! - b[i]!))
  return max
}

describe("decodeImage against Pillow", () => {
  it.effect.each(names)("%s", (name) =>
    Effect.gen(function* () {
      const expected = (yield* pillowPixels).get(name)!
      const rgb = yield* decodeImage(encoded(name))
      assert.deepStrictEqual([rgb.width, rgb.height], [expected.width, expected.height])
      assert.isAtMost(maxDifference(rgb.data, expected.data), name.endsWith(".png") ? 0 : 2)
    })
  )

  it.effect("turns an image upright when asked to", () =>
    Effect.gen(function* () {
      const expected = (yield* pillowPixels).get("exif6_48x70.jpg#exif_transposed")!
      const rgb = yield* decodeImage(encoded("exif6_48x70.jpg"), { exif: "apply" })
      assert.deepStrictEqual([rgb.width, rgb.height], [48, 70])
      assert.isAtMost(maxDifference(rgb.data, expected.data), 2)
    })
  )
})

const corpus = new URL("./fixtures/images/", import.meta.url).pathname
interface Golden {
  readonly width: number
  readonly height: number
  readonly sha256: string
  /** Every n-th value, about 60 in all. */
  readonly pixels: ReadonlyArray<number>
}
const goldens: Readonly<Record<string, Golden>> = JSON.parse(
  readFileSync(new URL("./fixtures/images.json", import.meta.url), "utf8")
)

describe("decodeImage on unusual images, against Pillow", () => {
  it.effect.each(Object.entries(goldens))("%s", ([name, golden]) =>
    Effect.gen(function* () {
      const rgb = yield* decodeImage(readFileSync(corpus + name))
      assert.deepStrictEqual([rgb.width, rgb.height], [golden.width, golden.height])
      if (name.endsWith(".png")) assert.strictEqual(sha256(rgb.data), golden.sha256)
      const step = Math.max(1, Math.floor(rgb.data.length / 60))
      const sample = golden.pixels.map((_, i) => rgb.data[i * step]!)
      assert.isAtMost(maxDifference(sample, golden.pixels), name.endsWith(".png") ? 0 : 2)
    })
  )

  it.effect("turns all eight orientations the same way up", () =>
    Effect.gen(function* () {
      for (let orientation = 1; orientation <= 8; orientation++) {
        const rgb = yield* decodeImage(readFileSync(`${corpus}exif${orientation}.jpg`), { exif: "apply" })
        const turned = orientation > 4
        assert.deepStrictEqual([rgb.width, rgb.height], turned ? [19, 23] : [23, 19])
      }
    })
  )
})

describe("preprocess against the Hugging Face processors on Pillow", () => {
  const cases = [
    ["clip_gelu", "expected_forward", "shortest_side_center_crop"],
    ["clip_quickgelu", "expected_forward", "shortest_side_center_crop"],
    ["blip_itm", "expected_pixels", "square"]
  ] as const
  it.effect.each(cases)("%s", ([folder, file, resize]) =>
    Effect.gen(function* () {
      const pixels = new Map(yield* pillowPixels)
      // These fixtures blend transparent images over white.
      for (const name of ["graya_33x47.png", "rgba_64x41.png"]) {
        pixels.set(name, yield* decodeImage(encoded(name), { alpha: "white" }))
      }
      const expected = yield* openSafetensors(`${parity}${folder}/${file}.safetensors`)
      const [rows, , size] = expected.tensors.get("pixel_values_pil")!.shape
      const values = yield* expected.float32("pixel_values_pil")
      const hf = JSON.parse(readFileSync(`${parity}${folder}/preprocessor_config.json`, "utf8"))
      const config: Preprocess = { image_size: size!, image_mean: hf.image_mean, image_std: hf.image_std, resize }
      assert.strictEqual(rows, names.length)
      names.forEach((name, i) => {
        const row = values.subarray(i * 3 * size! * size!, (i + 1) * 3 * size! * size!)
        assert.isAtMost(maxDifference(preprocess(pixels.get(name)!, config), row), 1e-6, name)
      })
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )
})
