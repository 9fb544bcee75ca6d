/**
 * R12: small files that would unpack to much, as images (no archive is read and nothing is fetched).
 *
 * Each is refused by its header: soon, and without the memory that its pixels would take. Ceiling in CI: ten times 50 ms.
 */
import { decodeImage } from "@bootlace/data"
import { Effect } from "effect"
import { crc32, deflateRawSync, deflateSync, gzipSync } from "node:zlib"
import { assert, describe, it } from "vitest"
import { figure } from "./torture.ts"

const ceiling_ms = 500
const ceiling_bytes = 16 * 1024 * 1024

const chunk = (kind: string, data: Uint8Array): Buffer => {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length)
  out.write(kind, 4, "latin1")
  out.set(data, 8)
  out.writeUInt32BE(crc32(out.subarray(4, 8 + data.length)), 8 + data.length)
  return out
}

const counts = (...values: ReadonlyArray<number>): Buffer => {
  const out = Buffer.alloc(4 * values.length)
  values.forEach((value, i) => out.writeUInt32BE(value, 4 * i))
  return out
}

interface Png {
  readonly width: number
  readonly height: number
  /** Bits of a grey pixel. */
  readonly depth: number
  readonly before?: Buffer
}

/** A whole and valid PNG, black all over. */
const blackPng = ({ width, height, depth, before = Buffer.alloc(0) }: Png): Buffer => {
  const rows = deflateSync(Buffer.alloc((1 + Math.ceil((width * depth) / 8)) * height), { level: 9 })
  return claimedPng(width, height, depth, before, rows)
}

/** A PNG that says how large it is and holds what it is given. */
const claimedPng = (width: number, height: number, depth: number, before: Buffer, rows: Uint8Array): Buffer =>
  Buffer.concat([
    Buffer.from("\u0089PNG\r\n\u001a\n", "latin1"),
    chunk("IHDR", Buffer.concat([counts(width, height), Buffer.from([depth, 0, 0, 0, 0])])),
    before,
    chunk("IDAT", rows),
    chunk("IEND", Buffer.alloc(0))
  ])

const jpeg = (width: number, height: number, marker: number): Buffer => {
  const bytes = Buffer.from("ffd8ffc0001108ffffffff03012200021101031101ffda", "hex")
  bytes[3] = marker
  bytes.writeUInt16BE(height, 7)
  bytes.writeUInt16BE(width, 9)
  return bytes
}

const riff = (...chunks: ReadonlyArray<Buffer>): Buffer => {
  const body = Buffer.concat([Buffer.from("WEBP"), ...chunks])
  const head = Buffer.from("RIFF\0\0\0\0", "latin1")
  head.writeUInt32LE(body.length, 4)
  return Buffer.concat([head, body])
}

const webpChunk = (kind: string, data: Buffer): Buffer => {
  const head = Buffer.from(`${kind}\0\0\0\0`, "latin1")
  head.writeUInt32LE(data.length, 4)
  return Buffer.concat([head, data])
}

/** Extended WebP: flags, three reserved bytes, width - 1 and height - 1 in 24 bits each. */
const webpCanvas = (width: number, height: number, flags: number): Buffer => {
  const data = Buffer.alloc(10)
  data[0] = flags
  data.writeUIntLE(width - 1, 4, 3)
  data.writeUIntLE(height - 1, 7, 3)
  return webpChunk("VP8X", data)
}

const nothing = Buffer.alloc(0)
const tiny = deflateSync(Buffer.alloc(64))
const frame = webpChunk("ANMF", Buffer.alloc(24))

const zip = (content: Buffer): Buffer => {
  const packed = deflateRawSync(content)
  const head = Buffer.alloc(30)
  head.writeUInt32LE(0x04034b50)
  head.writeUInt16LE(8, 8)
  head.writeUInt32LE(packed.length, 18)
  head.writeUInt32LE(content.length, 22)
  return Buffer.concat([head, packed])
}

const laughs = Array.from({ length: 9 }, (_, i) => `<!ENTITY a${i + 1} "${`&a${i};`.repeat(10)}">`).join("")

/** Made one at a time, so that what making it takes is given back before it is measured. */
const bombs: Readonly<Record<string, readonly [() => Uint8Array, RegExp]>> = {
  "31 KB of PNG, 256 million pixels of 1 bit": [
    () => blackPng({ width: 16_000, height: 16_000, depth: 1 }),
    /image_pixels is limited; expected at most 50000000, got 256000000/
  ],
  "a PNG of 20,000 x 20,000": [() => blackPng({ width: 20_000, height: 20_000, depth: 1 }), /image_side is limited/],
  "a PNG that says 2^31 - 1 a side": [
    () => claimedPng(2 ** 31 - 1, 2 ** 31 - 1, 8, nothing, tiny),
    /image_side is limited.* got 2147483647/
  ],
  "a PNG one pixel over the limit": [
    () => claimedPng(10_000, 5_001, 8, nothing, tiny),
    /image_pixels is limited.* got 50010000/
  ],
  "a PNG of a million frames": [
    () => claimedPng(4, 4, 8, chunk("acTL", counts(1_000_000, 0)), tiny),
    /image_frames is limited.* got 1000000/
  ],
  "a JPEG of 65,500 x 65,500": [() => jpeg(65_500, 65_500, 0xc0), /image_side is limited/],
  "a progressive JPEG of 16,000 x 16,000": [() => jpeg(16_000, 16_000, 0xc2), /image_pixels is limited/],
  "a WebP of 16,383 x 16,383": [() => riff(webpCanvas(16_383, 16_383, 0), frame), /image_pixels is limited/],
  "a WebP of 2^24 a side": [() => riff(webpCanvas(2 ** 24, 2 ** 24, 0), frame), /image_side is limited/],
  "a WebP of 20,000 frames": [
    () => riff(webpCanvas(16, 16, 2), ...Array.from({ length: 20_000 }, () => frame)),
    /image_frames is limited.* got 20000/
  ],
  "a file of 33 MiB": [
    () => Buffer.concat([claimedPng(4, 4, 8, nothing, tiny), Buffer.alloc(33 * 1024 * 1024)]),
    /image_bytes is limited/
  ],
  "64 MiB of zeros in gzip": [() => gzipSync(Buffer.alloc(64 * 1024 * 1024)), /got something else/],
  "64 MiB of zeros in a zip": [() => zip(Buffer.alloc(64 * 1024 * 1024)), /got something else/],
  "a PNG bomb inside gzip inside gzip": [
    () => gzipSync(gzipSync(blackPng({ width: 16_000, height: 16_000, depth: 1 }))),
    /got something else/
  ],
  "an SVG of a thousand million laughs": [
    () => Buffer.from(`<?xml version="1.0"?><!DOCTYPE svg [<!ENTITY a0 "ha">${laughs}]><svg>&a9;</svg>`),
    /got (SVG|something else)/
  ]
}

const names = Object.keys(bombs)
const refuse = (bytes: Uint8Array) => Effect.runPromise(Effect.flip(decodeImage(bytes, { where: { file: "bomb" } })))

describe("image bombs", () => {
  it(`R12: ${names.length} bombs are refused from their headers`, { timeout: 60_000 }, async () => {
    assert.isAtLeast(names.length, 8)
    await refuse(Buffer.from("no image"))
    let slowest = 0
    let most = 0
    for (const [name, [make, words]] of Object.entries(bombs)) {
      const bytes = make()
      // The high-water mark of the whole process, in KiB.
      const before = process.resourceUsage().maxRSS
      const start = process.hrtime.bigint()
      const error = await refuse(bytes)
      const took_ms = Number(process.hrtime.bigint() - start) / 1e6
      const grown = (process.resourceUsage().maxRSS - before) * 1024
      assert.match(error.message, words, name)
      assert.isBelow(took_ms, ceiling_ms, name)
      assert.isAtMost(grown, ceiling_bytes, name)
      slowest = Math.max(slowest, took_ms)
      most = Math.max(most, grown)
    }
    const memory = (most / 1024 / 1024).toFixed(1)
    figure(
      "R12",
      `${names.length} bombs refused, the slowest in ${slowest.toFixed(1)} ms, at most ${memory} MiB more memory`
    )
  })

  it("R12: text in a PNG that unpacks to 64 MiB costs no memory", async () => {
    const text = Buffer.concat([Buffer.from("Comment\0\0", "latin1"), deflateSync(Buffer.alloc(64 * 1024 * 1024))])
    const bytes = blackPng({ width: 4, height: 4, depth: 8, before: chunk("zTXt", text) })
    const before = process.resourceUsage().maxRSS
    const image = await Effect.runPromise(Effect.result(decodeImage(bytes)))
    assert.isAtMost((process.resourceUsage().maxRSS - before) * 1024, ceiling_bytes)
    if (image._tag === "Failure") assert.strictEqual(image.failure.code, "BadImage")
    else assert.deepStrictEqual([image.success.width, image.success.height], [4, 4])
  })
})
