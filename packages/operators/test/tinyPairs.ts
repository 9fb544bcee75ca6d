/** Small coloured patterns with their names, and models of the nano preset to look at them with. */
import { imageColumn, textColumn } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { Artifact, Batch, Dataset, Files } from "@bootlace/graph"
import { countWords, trainWordPiece } from "@bootlace/models"
import { takeRows } from "@bootlace/data"
import { Effect, Layer } from "effect"
import sharp from "sharp"
import { InitModel } from "../src/InitModel.ts"
import { LoadedModels } from "../src/tensor/LoadedModels.ts"
import { artifactOf, rowsOf, runFold, runIn } from "./inMemory.ts"

const colours = {
  red: [220, 30, 30],
  green: [30, 200, 40],
  blue: [30, 50, 220],
  yellow: [230, 220, 30],
  purple: [150, 40, 190],
  orange: [240, 140, 20],
  black: [10, 10, 10],
  cyan: [30, 210, 220]
} as const
const shapes = {
  square: (x: number, y: number) => x > 3 && x < 12 && y > 3 && y < 12,
  stripe: (_x: number, y: number) => y > 4 && y < 11,
  column: (x: number) => x > 4 && x < 11,
  corner: (x: number, y: number) => x + y < 16
} as const

const side = 16

const draw = (rgb: ReadonlyArray<number>, inside: (x: number, y: number) => boolean): Promise<Buffer> => {
  const pixels = new Uint8Array(side * side * 3)
  for (let i = 0; i < side * side; i++)
    pixels.set(inside(i % side, Math.floor(i / side)) ? rgb : [245, 245, 245], i * 3)
  return sharp(pixels, { raw: { width: side, height: side, channels: 3 } })
    .png()
    .toBuffer()
}

const drawn = await Promise.all(
  Object.entries(colours).flatMap(([colour, rgb]) =>
    Object.entries(shapes).map(async ([shape, inside]) => ({
      text: `a ${colour} ${shape}`,
      png: await draw(rgb, inside)
    }))
  )
)

/** 32 different pairs of an image and its text. */
export const texts: ReadonlyArray<string> = drawn.map(({ text }) => text)
export const images = drawn.map(({ png, text }) => ({ bytes: new Uint8Array(png), path: `${text}.png` }))
export const pairs: Batch = rowsOf({ image: imageColumn(images), text: textColumn(texts) })

export const datasetOf = (batch: Batch): Dataset => ({
  digest: "pairs",
  numRows: batch.numRows,
  rows: (indices) => Effect.sync(() => takeRows(batch, indices))
})

const counts = new Map<string, number>()
for (const text of [...texts, "a photo of an image"]) countWords(counts, text)
export const vocabulary = artifactOf("vocabulary", {
  "vocab.txt": new TextEncoder().encode(`${trainWordPiece(counts, { vocab_size: 120, min_frequency: 1 }).join("\n")}\n`)
})

export const newModel = async (
  architecture: "clip" | "blip" | "siglip",
  seed = 3,
  keys?: object
): Promise<Artifact> => {
  const given = {
    config: { architecture, preset: "nano", ...(keys && { config: keys }) },
    artifacts: { vocabulary },
    seed
  }
  const { files } = await runIn(given, runFold(InitModel, given, []))
  return artifactOf("model", files)
}

/** All files of an artifact. */
export const filesOf = async ({ files, read }: Artifact): Promise<Files> =>
  Object.fromEntries(await Promise.all(files.map(async (name) => [name, await Effect.runPromise(read(name))] as const)))

const models = Layer.provideMerge(LoadedModels.layer, Engine.eager())
/** tfjs operation by operation: no native library, results that anybody can follow. */
export const eager = models
export const onnx = Layer.provideMerge(LoadedModels.layer, Engine.onnx({ threads: 1 }))
