/**
 * Draws the pairs of the micro pipelines: coloured shapes with captions, two image folders of 32 px PNGs.
 *
 *   node pipelines/micro/shapes.ts
 *
 * human: 24 shapes, true captions.   web: 48 shapes; every second caption names another shape (`matched` says which).
 * The files are committed, so that tests need no drawing; the script only shows where they come from.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import sharp from "sharp"

const colours = { red: "#d62828", green: "#2a9d3a", blue: "#1d4ed8", yellow: "#f2c014" } as const
const outlines = {
  circle: (x: number, y: number, r: number) => `<circle cx="${x}" cy="${y}" r="${r}"/>`,
  square: (x: number, y: number, r: number) => `<rect x="${x - r}" y="${y - r}" width="${2 * r}" height="${2 * r}"/>`,
  triangle: (x: number, y: number, r: number) => `<path d="M${x} ${y - r}L${x + r} ${y + r}L${x - r} ${y + r}Z"/>`
} as const

const kinds = Object.entries(colours).flatMap(([colour, fill]) =>
  Object.entries(outlines).map(([shape, outline]) => ({ caption: `a ${colour} ${shape}`, fill, outline }))
)

/** Places and sizes walk through a fixed cycle: no drawing equals another of its kind. */
const draw = (index: number, radius: number) => {
  const { fill, outline } = kinds[index % kinds.length]!
  const step = Math.floor(index / kinds.length)
  const shape = outline(12 + 3 * (step % 4), 18 - 2 * (step % 3), radius + (step % 3))
  return sharp(
    Buffer.from(
      `<svg xmlns="http://www.w3.org/2000/svg" width="32" height="32"><rect width="32" height="32" fill="#fff"/><g fill="${fill}">${shape}</g></svg>`
    )
  )
    .png({ compressionLevel: 9, palette: true })
    .toBuffer()
}

const write = async (
  folder: string,
  count: number,
  radius: number,
  caption: (index: number) => { text: string; matched: boolean }
) => {
  const directory = join(import.meta.dirname, "shapes", folder)
  mkdirSync(directory, { recursive: true })
  const lines: Array<string> = []
  for (let index = 0; index < count; index++) {
    const file_name = `${String(index).padStart(3, "0")}.png`
    writeFileSync(join(directory, file_name), await draw(index, radius))
    lines.push(JSON.stringify({ file_name, ...caption(index) }))
  }
  writeFileSync(join(directory, "metadata.jsonl"), `${lines.join("\n")}\n`)
}

await write("human", 24, 7, (index) => ({ text: kinds[index % kinds.length]!.caption, matched: true }))
await write("web", 48, 5, (index) => {
  const matched = index % 2 === 0
  return { text: kinds[(matched ? index : index + 5) % kinds.length]!.caption, matched }
})
