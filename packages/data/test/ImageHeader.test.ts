import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { readdirSync, readFileSync } from "node:fs"
import { deflateSync } from "node:zlib"
import sharp from "sharp"
import { DataError, decodeImage, readImageHeader, withLimits } from "../src/index.ts"

const corpus = new URL("./fixtures/images/", import.meta.url).pathname
const names = readdirSync(corpus).sort()
const load = (name: string): Buffer => readFileSync(corpus + name)

const chunk = (kind: string, data: Uint8Array): Buffer => {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length)
  out.write(kind, 4, "latin1")
  out.set(data, 8)
  return out
}

/** A PNG that says it is that large and holds next to nothing. */
const claim = (width: number, height: number, ...extra: ReadonlyArray<Buffer>): Buffer => {
  const head = Buffer.alloc(13)
  head.writeUInt32BE(width)
  head.writeUInt32BE(height, 4)
  head.set([8, 2], 8)
  const signature = Buffer.from("\u0089PNG\r\n\u001a\n", "latin1")
  return Buffer.concat([signature, chunk("IHDR", head), ...extra, chunk("IDAT", deflateSync(Buffer.alloc(64)))])
}

const jpegClaim = (width: number, height: number): Buffer => {
  const bytes = Buffer.from("ffd8ffc0001108ffffffff03012200021101031101ffda", "hex")
  bytes.writeUInt16BE(height, 7)
  bytes.writeUInt16BE(width, 9)
  return bytes
}

const frames = (count: number): Buffer => {
  const data = Buffer.alloc(8)
  data.writeUInt32BE(count)
  return chunk("acTL", data)
}

describe("readImageHeader", () => {
  it.effect.each(names)("agrees with the decoder on %s", (name) =>
    Effect.gen(function* () {
      const metadata = yield* Effect.promise(() => sharp(load(name)).metadata())
      const { format, width, height, cmyk } = readImageHeader(load(name), name)
      assert.deepStrictEqual([format, width, height], [metadata.format, metadata.width, metadata.height])
      assert.strictEqual(cmyk, metadata.space === "cmyk")
    })
  )

  const refused: Record<string, readonly [Uint8Array, string]> = {
    "an empty file": [new Uint8Array(), "got an empty file"],
    "one byte": [Uint8Array.of(0xff), "got something else"],
    "an HTML page called .jpg": [Buffer.from("\n<!DOCTYPE html><html>"), "got an HTML page"],
    SVG: [Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), "got SVG"],
    "SVG with a prologue": [Buffer.from('<?xml version="1.0"?>\n<!-- x --><svg/>'), "got SVG"],
    GIF: [Buffer.from("GIF89a\u0001\u0000\u0001\u0000"), "got GIF"],
    TIFF: [Buffer.from("II*\u0000aaaaaaaa"), "got TIFF"],
    BMP: [Buffer.from("BMaaaaaaaa"), "got BMP"],
    HEIF: [Buffer.from("\u0000\u0000\u0000\u0018ftypheic"), "got HEIF"],
    AVIF: [Buffer.from("\u0000\u0000\u0000\u0018ftypavif"), "got AVIF"],
    "a PNG without pixels": [claim(0, 5), "png says it is 0 x 5 pixels"],
    "a PNG that ends in its header": [claim(4, 4).subarray(0, 20), "PNG ends inside its header"],
    "a JPEG without frame": [Buffer.from("ffd8ffda0008", "hex"), "JPEG has no frame header"],
    "a JPEG that is cut": [Buffer.from("ffd8ffe000104a46", "hex"), "JPEG ends inside its header"],
    "a JPEG with a bad segment": [Buffer.from("ffd8ffe00000ffff", "hex"), "has length 0"],
    "a JPEG that leaves its height open": [jpegClaim(5, 0), "jpeg says it is 5 x 0 pixels"],
    "a WebP of an unknown kind": [Buffer.from(`RIFF\u0004\u0000\u0000\u0000WEBPXXXX${" ".repeat(20)}`), 'chunk "XXXX"']
  }
  it.each(Object.keys(refused))("refuses %s", (name) => {
    const [bytes, message] = refused[name]!
    assert.throws(() => readImageHeader(bytes, "some.jpg"), DataError, message)
  })

  it("never fails otherwise, whatever the bytes", () => {
    const start = fc.constantFrom(...names.map((name) => load(name).subarray(0, 64)), Buffer.alloc(0))
    fc.assert(
      fc.property(start, fc.uint8Array({ maxLength: 64 }), fc.nat(63), (head, tail, cut) => {
        try {
          const header = readImageHeader(Buffer.concat([head.subarray(0, cut), tail]), "x")
          assert.isAbove(header.width * header.height, 0)
        } catch (error) {
          assert.instanceOf(error, DataError)
        }
      }),
      { numRuns: 2_000 }
    )
  })
})

describe("decodeImage", () => {
  const bombs: Record<string, readonly [Uint8Array, string]> = {
    "20000 x 20000 pixels": [claim(20_000, 20_000), "image_side is limited; expected at most 16384, got 20000"],
    "16000 x 16000 pixels": [
      claim(16_000, 16_000),
      "image_pixels is limited; expected at most 50000000, got 256000000"
    ],
    "a JPEG of 65500 x 65500": [jpegClaim(65_500, 65_500), "image_side is limited"],
    "1 x 65535": [claim(1, 65_535), "image_side is limited"],
    "an animation": [claim(4, 4, frames(3)), "image_frames is limited; expected at most 1, got 3"]
  }
  it.effect.each(Object.keys(bombs))("refuses %s from the header", (name) =>
    Effect.gen(function* () {
      const [bytes, message] = bombs[name]!
      const error = yield* Effect.flip(decodeImage(bytes, { where: { file: "bomb", row: 3 } }))
      assert.strictEqual(error.code, "OverLimit")
      assert.include(error.message, "bomb row=3")
      assert.include(error.message, message)
    })
  )

  it.effect("takes other limits", () =>
    Effect.gen(function* () {
      const limits = withLimits({ image_bytes: 100 })
      const error = yield* Effect.flip(decodeImage(load("rgba.png"), { limits }))
      assert.include(error.message, "image_bytes is limited; expected at most 100")
    })
  )

  it.effect.each(["cmyk.jpg", "optimised.jpg", "rgba.png", "lossy.webp", "lossless.webp"])(
    "refuses %s cut anywhere",
    (name) =>
      Effect.gen(function* () {
        const whole = load(name)
        for (let part = 1; part <= 10; part++) {
          const bytes = whole.subarray(0, Math.floor((whole.length * part) / 11))
          const error = yield* Effect.flip(decodeImage(bytes))
          assert.oneOf(error.code, ["BadImage", "UnknownImage"])
        }
      })
  )
})
