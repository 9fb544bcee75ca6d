/** Test support: a zip archive of small files, by PKWARE's APPNOTE. */
import { crc32, deflateRawSync } from "node:zlib"

export interface ZipFile {
  readonly name: string
  readonly content: string | Uint8Array
  readonly stored?: boolean
}

export function zip(files: ReadonlyArray<ZipFile>): Buffer {
  const [locals, centrals]: [Array<Buffer>, Array<Buffer>] = [[], []]
  let offset = 0
  for (const { name, content, stored = false } of files) {
    const bytes = Buffer.from(content)
    const packed = stored ? bytes : deflateRawSync(bytes)
    // Version, flags, method, time, date, CRC, sizes, lengths of name and extra: alike in both headers.
    const common = Buffer.alloc(26)
    common.writeUInt16LE(20, 0)
    common.writeUInt16LE(stored ? 0 : 8, 4)
    common.writeUInt32LE(crc32(bytes), 10)
    common.writeUInt32LE(packed.length, 14)
    common.writeUInt32LE(bytes.length, 18)
    common.writeUInt16LE(name.length, 22)
    const tail = Buffer.alloc(14)
    tail.writeUInt32LE(offset, 10)
    const local = Buffer.concat([Buffer.from("PK\x03\x04"), common, Buffer.from(name), packed])
    centrals.push(Buffer.concat([Buffer.from("PK\x01\x02\x14\x00"), common, tail, Buffer.from(name)]))
    locals.push(local)
    offset += local.length
  }
  const directory = Buffer.concat(centrals)
  const end = Buffer.alloc(22)
  end.write("PK\x05\x06", "latin1")
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...locals, directory, end])
}
