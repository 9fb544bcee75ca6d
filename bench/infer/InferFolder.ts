/**
 * A model and pictures on disk, read by our process and by the peers' alike.
 *
 *   ours/    the model as our own artifact      theirs/     the same weights as a folder of transformers
 *   images/  pictures                           texts.json  sentences
 *
 * The weights are random, drawn wider than for training, so that different pictures get different captions and scores.
 */
import { Files } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { modelFromConfig, preset, SPECIAL_TOKENS } from "@bootlace/models"
import type { BlipConfig, HuggingFaceClass, ModelConfig } from "@bootlace/models"
import { exportHuggingFace, writeModel } from "@bootlace/operators"
import { Effect } from "effect"
import { mkdir, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { smallBlip } from "../train/TrainModel.ts"
import { writePictures } from "./Pictures.ts"

const nanoVocabulary = 512

export const blipConfig = (nano: boolean): BlipConfig =>
  nano
    ? { ...(preset("blip", "nano", { vocab_size: nanoVocabulary }) as BlipConfig), initializer_range: 0.2 }
    : { ...smallBlip(), initializer_range: 0.08 }

/** ViT-B/32. Its texts aren't read, so its vocabulary is a small one. */
export const clipConfig = (nano: boolean): ModelConfig =>
  preset("clip", nano ? "nano" : "vit-b-32", { vocab_size: nanoVocabulary })

/** The special tokens, then as many words as the model has embeddings for. */
const vocabularyOf = (vocab_size: number): ReadonlyArray<string> => [
  ...SPECIAL_TOKENS,
  ...Array.from({ length: vocab_size - SPECIAL_TOKENS.length }, (_, number) => `w${number}`)
]

async function writeModels(folder: string, config: ModelConfig, as: HuggingFaceClass) {
  const model = modelFromConfig(config)
  const vocabulary = vocabularyOf(model.vocab_size).join("\n")
  const weights: HostTensors = Object.fromEntries(
    Object.entries(model.init(1)).map(([name, data]) => [name, { shape: model.shapes[name]!, dtype: "float32", data }])
  )
  await mkdir(join(folder, "ours"))
  const write = (name: string, bytes: Uint8Array | ReadonlyArray<Uint8Array>) =>
    Effect.promise(() => writeFile(join(folder, "ours", name), bytes))
  const both = Effect.andThen(
    writeModel({ write }, { model, vocabulary, weights }),
    exportHuggingFace({ model, vocabulary, weights }, join(folder, "theirs"), { as })
  )
  await Effect.runPromise(both.pipe(Effect.provide(Files.layer)))
  return model
}

/** Pictures as large as the model sees them, so that both sides have the same pixels. */
export const captionFolder = (nano: boolean, images: number) => async (folder: string) => {
  const { image_size } = (await writeModels(folder, blipConfig(nano), "BlipForConditionalGeneration")).preprocess
  await writePictures(join(folder, "images"), images, { width: image_size, height: image_size }, "png")
}

/** Texts of 4 to 12 words. */
export const matchingFolder = (nano: boolean, images: number, texts: number) => async (folder: string) => {
  const { preprocess, vocab_size } = await writeModels(folder, blipConfig(nano), "BlipForImageTextRetrieval")
  const { image_size } = preprocess
  await writePictures(join(folder, "images"), images, { width: image_size, height: image_size }, "png")
  const words = vocabularyOf(vocab_size).slice(SPECIAL_TOKENS.length)
  const sentence = (text: number) =>
    Array.from({ length: 4 + (text % 9) }, (_, place) => words[(71 * text + 13 * place) % words.length]!).join(" ")
  const sentences = Array.from({ length: texts }, (_, text) => sentence(text))
  await writeFile(join(folder, "texts.json"), JSON.stringify(sentences))
}

const pipeline = `
version: 1
name: embed
params:
  path: { type: string }
models:
  clip: { architecture: clip, path: theirs }
nodes:
  files: { op: ReadPairs, path: "\${path}", verify: false }
  image: { op: ImageEncoder, model: clip, in: { image: files.image } }
`

/** JPEG files of 640 x 480, and a few others to warm up with; each with the text that a pair needs. */
export const embeddingFolder = (nano: boolean, images: number, warm: number) => async (folder: string) => {
  await writeModels(folder, clipConfig(nano), "CLIPModel")
  for (const [name, count] of [["images", images] as const, ["warm", warm] as const]) {
    const names = await writePictures(join(folder, name), count, { width: 640, height: 480 }, "jpg")
    const rows = names.map((file_name) => JSON.stringify({ file_name, text: name }))
    await writeFile(join(folder, name, "metadata.jsonl"), rows.join("\n"))
  }
  await writeFile(join(folder, "embed.yaml"), pipeline)
}
