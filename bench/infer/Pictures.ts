/** Pictures to look at: an emoji drawing on a ground of its own colour with a little noise, the same everywhere before it is encoded. */
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import sharp from "sharp"

const drawings = join(
  dirname(createRequire(import.meta.url).resolve("emoji-datasource-google/package.json")),
  "img/google/64"
)

interface Size {
  readonly width: number
  readonly height: number
}

/** RGB, a colour that falls off towards the bottom. */
function ground(number: number, { width, height }: Size): Uint8Array {
  let state = number + 1
  return Uint8Array.from({ length: width * height * 3 }, (_, i) => {
    state = (state * 48271) % 2147483647
    const [channel, y] = [i % 3, Math.floor(i / 3 / width)]
    return ((60 + 53 * number * (channel + 1)) % 160) + Math.floor((80 * y) / height) + (state % 9)
  })
}

/** Writes pictures 000.png, 001.png, ... (or .jpg) into a new folder and gives their names. */
export async function writePictures(folder: string, count: number, size: Size, format: "png" | "jpg") {
  await mkdir(folder)
  const files = (await readdir(drawings)).toSorted()
  const side = Math.floor((Math.min(size.width, size.height) * 3) / 4)
  const names = Array.from({ length: count }, (_, number) => `${String(number).padStart(3, "0")}.${format}`)
  for (const [number, name] of names.entries()) {
    const drawing = await sharp(join(drawings, files[number * 7]!))
      .resize(side, side)
      .toBuffer()
    const picture = sharp(ground(number, size), { raw: { ...size, channels: 3 } }).composite([{ input: drawing }])
    const encoded = format === "png" ? picture.png() : picture.jpeg({ quality: 90 })
    await writeFile(join(folder, name), await encoded.toBuffer())
  }
  return names
}
