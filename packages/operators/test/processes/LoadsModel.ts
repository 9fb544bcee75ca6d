/**
 * A process that loads a model and embeds one image, and tells how far its memory grew above what it took before.
 *
 *   node LoadsModel.ts checkpoint FOLDER      as a checkpoint folder is imported
 *   node LoadsModel.ts artifact FOLDER        as operators load a stored model
 */
import { Files } from "@bootlace/data"
import { Engine } from "@bootlace/engine"
import type { Executor, Program } from "@bootlace/engine"
import type { Artifact } from "@bootlace/graph"
import type { Model } from "@bootlace/models"
import { Effect, Layer } from "effect"
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { readCheckpointFolder } from "../../src/tensor/CheckpointFolder.ts"
import { LoadedModels } from "../../src/tensor/LoadedModels.ts"

const [way, folder] = process.argv.slice(2) as [string, string]

const embedding = (model: Model): Program => ({
  name: "image",
  weights: Object.keys(model.shapes).filter((name) => /^(vision_model|visual_projection)/.test(name)),
  run: (weights, { pixels }) => ({ image_embeds: model.encodeImage(weights, pixels!).image_embeds })
})

const pixelsFor = ({ preprocess: { image_size } }: Model) => ({
  pixels: {
    shape: [1, 3, image_size, image_size],
    dtype: "float32" as const,
    data: new Float32Array(3 * image_size * image_size)
  }
})

const imported = Effect.fnUntraced(function* (executor: Executor) {
  const { model, weights } = yield* readCheckpointFolder(folder)
  return { model, loaded: yield* executor.load(weights, { transfer: true }) }
})

const artifact: Artifact = {
  type: "model",
  digest: "model",
  files: [],
  read: (name) => Effect.promise(async () => new Uint8Array((await readFile(join(folder, name))).buffer))
}

const stored = Effect.gen(function* () {
  const { opened, loaded } = yield* (yield* LoadedModels).use("node", artifact)
  return { model: opened!.model, loaded }
})

const program = Effect.gen(function* () {
  const executor = yield* Engine
  const before = process.resourceUsage().maxRSS
  const { model, loaded } = yield* way === "checkpoint" ? imported(executor) : stored
  const { image_embeds } = yield* loaded.run(embedding(model), pixelsFor(model))
  const grown_bytes = (process.resourceUsage().maxRSS - before) * 1024
  return { grown_bytes, embedded: image_embeds!.shape }
})

const engine = Engine.onnx({ threads: 1 })
const services = Layer.mergeAll(LoadedModels.layer.pipe(Layer.provideMerge(engine)), Files.layer)
console.log(JSON.stringify(await Effect.runPromise(Effect.scoped(Effect.provide(program, services)))))
