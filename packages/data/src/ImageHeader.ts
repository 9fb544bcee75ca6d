/**
 * What an encoded image says about itself in its first bytes: format, size, frames. Nothing is decoded, so a bomb is refused
 * before it costs memory.
 *
 *   JPEG  ISO/IEC 10918-1 annex B: markers up to the frame header SOFn; EXIF in APP1
 *   PNG   third edition, section 11: IHDR; acTL for animations
 *   WebP  RFC 9649: VP8, VP8L or VP8X chunk; ANMF per frame
 */
import { DataError } from "./DataError.ts"

export interface ImageHeader {
  readonly format: "jpeg" | "png" | "webp"
  readonly width: number
  readonly height: number
  readonly frames: number
  /** Four inks and no RGB: a JPEG for print. */
  readonly cmyk: boolean
}

const ascii = (bytes: Uint8Array, offset: number, length: number): string =>
  String.fromCharCode(...bytes.subarray(offset, offset + length))

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Formats that are refused by their name, because people will try them. */
const refused = (bytes: Uint8Array): string => {
  const start = ascii(bytes, 0, 64)
  const text = start
    .replace(/^\u00ef\u00bb\u00bf/, "")
    .trimStart()
    .toLowerCase()
  if (text.startsWith("<svg") || (text.startsWith("<?xml") && ascii(bytes, 0, 1024).includes("<svg"))) return "SVG"
  if (text.startsWith("<!doctype html") || text.startsWith("<html")) return "an HTML page"
  if (start.startsWith("GIF8")) return "GIF"
  if (start.startsWith("II*\0") || start.startsWith("MM\0*")) return "TIFF"
  if (start.startsWith("BM")) return "BMP"
  if (start.slice(4, 8) === "ftyp") return start.slice(8, 11) === "avi" ? "AVIF" : "HEIF"
  return bytes.length === 0 ? "an empty file" : "something else"
}

const bad = (file: string, detail: string): DataError => new DataError({ code: "BadImage", file, detail })

const cut = (file: string, format: string): DataError => bad(file, `${format} ends inside its header`)

/** Markers that stand alone, without a length: TEM, RST0 to RST7. */
const isBareMarker = (marker: number): boolean => marker === 0x01 || (marker >= 0xd0 && marker <= 0xd7)

/** SOF0 to SOF15 without DHT (C4), JPG (C8) and DAC (CC). */
const isFrameHeader = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

const readJpeg = (bytes: Uint8Array, file: string): ImageHeader => {
  const view = viewOf(bytes)
  let at = 2
  while (at + 4 <= bytes.length) {
    if (bytes[at] !== 0xff) throw bad(file, `JPEG marker expected at byte ${at}`)
    const marker = bytes[at + 1]!
    if (marker === 0xff) {
      at += 1
      continue
    }
    if (isBareMarker(marker)) {
      at += 2
      continue
    }
    if (marker === 0xda || marker === 0xd9) throw bad(file, "JPEG has no frame header before its data")
    const length = view.getUint16(at + 2)
    if (length < 2) throw bad(file, `JPEG segment at byte ${at} has length ${length}`)
    if (isFrameHeader(marker)) {
      if (at + 10 > bytes.length) throw cut(file, "JPEG")
      const [height, width, components] = [view.getUint16(at + 5), view.getUint16(at + 7), bytes[at + 9]]
      return { format: "jpeg", width, height, frames: 1, cmyk: components === 4 }
    }
    at += 2 + length
  }
  throw cut(file, "JPEG")
}

const readPng = (bytes: Uint8Array, file: string): ImageHeader => {
  const view = viewOf(bytes)
  if (bytes.length < 33) throw cut(file, "PNG")
  if (ascii(bytes, 12, 4) !== "IHDR") throw bad(file, "PNG does not start with IHDR")
  const width = view.getUint32(16)
  const height = view.getUint32(20)
  // acTL stands before IDAT in an animated PNG.
  let at = 33
  while (at + 12 <= bytes.length) {
    const kind = ascii(bytes, at + 4, 4)
    if (kind === "acTL") return { format: "png", width, height, frames: view.getUint32(at + 8), cmyk: false }
    if (kind === "IDAT" || kind === "IEND") break
    at += 12 + view.getUint32(at)
  }
  return { format: "png", width, height, frames: 1, cmyk: false }
}

const uint24 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16)

/** ANMF chunks of an extended WebP file. */
const countFrames = (bytes: Uint8Array): number => {
  const view = viewOf(bytes)
  let frames = 0
  let at = 12
  while (at + 8 <= bytes.length) {
    if (ascii(bytes, at, 4) === "ANMF") frames += 1
    const length = view.getUint32(at + 4, true)
    at += 8 + length + (length & 1)
  }
  return frames
}

const webp = (width: number, height: number, frames: number): ImageHeader => ({
  format: "webp",
  width,
  height,
  frames,
  cmyk: false
})

const readWebp = (bytes: Uint8Array, file: string): ImageHeader => {
  if (bytes.length < 30) throw cut(file, "WebP")
  const view = viewOf(bytes)
  const kind = ascii(bytes, 12, 4)
  if (kind === "VP8 ") return webp(view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff, 1)
  if (kind === "VP8L") {
    const bits = view.getUint32(21, true)
    return webp((bits & 0x3fff) + 1, ((bits >>> 14) & 0x3fff) + 1, 1)
  }
  if (kind !== "VP8X") throw bad(file, `WebP starts with chunk ${JSON.stringify(kind)}`)
  const animated = (bytes[20]! & 0x02) !== 0
  return webp(uint24(bytes, 24) + 1, uint24(bytes, 27) + 1, animated ? countFrames(bytes) : 1)
}

/**
 * Reads the header of an encoded JPEG, PNG or WebP image.
 *
 * Throws a DataError: UnknownImage for every other format, BadImage for a header that is cut or has no pixels.
 */
export const readImageHeader = (bytes: Uint8Array, file: string): ImageHeader => {
  const header =
    bytes[0] === 0xff && bytes[1] === 0xd8
      ? readJpeg(bytes, file)
      : ascii(bytes, 0, 8) === "\u0089PNG\r\n\u001a\n"
        ? readPng(bytes, file)
        : ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 4) === "WEBP"
          ? readWebp(bytes, file)
          : undefined
  if (header === undefined) {
    throw new DataError({
      code: "UnknownImage",
      file,
      detail: "images are read by their content, not by their name",
      expected: "JPEG, PNG or WebP",
      got: refused(bytes)
    })
  }
  if (header.width === 0 || header.height === 0) {
    throw bad(file, `${header.format} says it is ${header.width} x ${header.height} pixels`)
  }
  return header
}
