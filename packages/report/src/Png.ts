/** RGB pixels as a PNG file (ISO/IEC 15948): 8 bits a channel, no interlacing, each row filtered by its left neighbour. */
import { crc32, deflateSync } from "node:zlib"

const chunk = (type: string, data: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(12 + data.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, data.length)
  bytes.set(Buffer.from(type, "latin1"), 4)
  bytes.set(data, 8)
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)))
  return bytes
}

const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a)
const subFilter = 1

/** `data` is [height, width, 3]. */
export const encodePng = (width: number, height: number, data: Uint8Array): Uint8Array => {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, 2, 0, 0, 0], 8)
  const stride = 3 * width
  const rows = new Uint8Array((stride + 1) * height)
  for (let y = 0; y < height; y++) {
    rows[y * (stride + 1)] = subFilter
    for (let x = 0; x < stride; x++) {
      const left = x < 3 ? 0 : data[y * stride + x - 3]!
      rows[y * (stride + 1) + 1 + x] = data[y * stride + x]! - left
    }
  }
  return Buffer.concat([
    signature,
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows, { level: 9 })),
    chunk("IEND", new Uint8Array())
  ])
}
