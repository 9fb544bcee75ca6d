/**
 * Files out of a wheel, which is a zip archive (PKWARE APPNOTE 6.3, without ZIP64). Only named files are written, to paths that the
 * caller chose: nothing in the archive says where a file goes.
 */
import { createWriteStream } from "node:fs"
import { mkdir, open, rename } from "node:fs/promises"
import type { FileHandle } from "node:fs/promises"
import { dirname } from "node:path"
import { Readable, Transform } from "node:stream"
import { pipeline } from "node:stream/promises"
import { crc32, createInflateRaw } from "node:zlib"

export interface WheelEntry {
  readonly name: string
  readonly method: number
  readonly crc: number
  readonly compressed: number
  readonly size: number
  /** Of its local header. */
  readonly offset: number
}

export interface Wheel {
  readonly entries: ReadonlyArray<WheelEntry>
  /** Writes an entry, checked by its CRC, to a path. */
  readonly extract: (entry: WheelEntry, to: string) => Promise<void>
  readonly text: (entry: WheelEntry) => Promise<string>
}

const signature = { end: 0x06054b50, central: 0x02014b50, local: 0x04034b50 } as const
const stored = 0
const deflated = 8
/** The end record is 22 bytes and a comment of up to 65,535. */
const endSearch = 22 + 65535

const broken = (what: string): Error => new Error(`the wheel is no zip archive that can be read: ${what}`)

async function readAt(file: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  const { bytesRead } = await file.read(bytes, 0, length, offset)
  if (bytesRead !== length) throw broken(`it ends before byte ${offset + length}`)
  return bytes
}

async function directory(file: FileHandle, size: number): Promise<ReadonlyArray<WheelEntry>> {
  const from = Math.max(0, size - endSearch)
  const tail = await readAt(file, from, size - from)
  const at = tail.lastIndexOf(Buffer.of(0x50, 0x4b, 5, 6))
  if (at < 0 || at + 22 > tail.length) throw broken("it has no end record")
  const [count, length, offset] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)]
  if (offset + length > size) throw broken("its directory lies behind its end")
  const bytes = await readAt(file, offset, length)
  const entries: Array<WheelEntry> = []
  for (let position = 0; entries.length < count;) {
    if (position + 46 > length || bytes.readUInt32LE(position) !== signature.central)
      throw broken(`entry ${entries.length} of its directory`)
    const [nameLength, extra, comment] = [28, 30, 32].map((field) => bytes.readUInt16LE(position + field)) as [
      number,
      number,
      number
    ]
    entries.push({
      name: bytes.toString("utf8", position + 46, position + 46 + nameLength),
      method: bytes.readUInt16LE(position + 10),
      crc: bytes.readUInt32LE(position + 16),
      compressed: bytes.readUInt32LE(position + 20),
      size: bytes.readUInt32LE(position + 24),
      offset: bytes.readUInt32LE(position + 42)
    })
    position += 46 + nameLength + extra + comment
  }
  return entries
}

/** Its content, refused where it is longer than declared or has another CRC. */
async function contents(
  path: string,
  file: FileHandle,
  entry: WheelEntry
): Promise<ReadonlyArray<Readable | Transform>> {
  const { name, method, offset, compressed, size } = entry
  if (method !== stored && method !== deflated) throw broken(`${name} is compressed by method ${method}`)
  const head = await readAt(file, offset, 30)
  if (head.readUInt32LE(0) !== signature.local) throw broken(`the header of ${name}`)
  const start = offset + 30 + head.readUInt16LE(26) + head.readUInt16LE(28)
  const bytes = Readable.from(readRange(path, start, compressed))
  let [sum, length] = [0, 0]
  const checked = new Transform({
    transform: (chunk: Buffer, _, done) => {
      sum = crc32(chunk, sum)
      length += chunk.length
      if (length > size) done(broken(`${name} is longer than the ${size} bytes it declares`))
      else done(null, chunk)
    },
    flush: (done) => done(sum === entry.crc && length === size ? null : broken(`${name} fails its checksum`))
  })
  return method === stored ? [bytes, checked] : [bytes, createInflateRaw(), checked]
}

const blockSize = 1 << 20

async function* readRange(path: string, start: number, length: number): AsyncGenerator<Buffer> {
  const file = await open(path)
  try {
    for (let at = 0; at < length; at += blockSize)
      yield await readAt(file, start + at, Math.min(blockSize, length - at))
  } finally {
    await file.close()
  }
}

/** Calls `use` with the open wheel. Throws an Error that says what is wrong with it. */
export async function withWheel<A>(path: string, use: (wheel: Wheel) => Promise<A>): Promise<A> {
  const file = await open(path)
  try {
    const { size } = await file.stat()
    const extract: Wheel["extract"] = async (entry, to) => {
      await mkdir(dirname(to), { recursive: true })
      // A file with its final name is whole.
      await pipeline([...(await contents(path, file, entry)), createWriteStream(`${to}.part`)])
      await rename(`${to}.part`, to)
    }
    const text: Wheel["text"] = async (entry) => {
      const chunks: Array<Buffer> = []
      const collect = async (source: AsyncIterable<Buffer>) => {
        for await (const chunk of source) chunks.push(chunk)
      }
      await pipeline([...(await contents(path, file, entry)), collect] as never)
      return Buffer.concat(chunks).toString("utf8")
    }
    return await use({ entries: await directory(file, size), extract, text })
  } finally {
    await file.close()
  }
}
