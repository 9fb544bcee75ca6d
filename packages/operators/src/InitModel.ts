/**
 * InitModel: a model with fresh weights, or a checkpoint's; what an entry of `models:` in a pipeline file is.
 *
 *   vocabulary   vocab.txt, as BuildVocabulary makes it   ->   model
 *   path         a folder of transformers or open_clip, which brings its own vocabulary   ->   model
 *
 * Sizes come from a preset, from keys of Hugging Face's config.json, or from a preset with some keys changed. Weights are drawn
 * as the papers' code draws them, keyed by (seed, weight name).
 */
import { NodeError, Operator } from "@bootlace/graph"
import type { Artifact } from "@bootlace/graph"
import { modelFromConfig, preset, presetNames, tokenizerOf, wordPiece } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import type { HostTensors } from "@bootlace/engine"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { resolve } from "node:path"
import { hashCheckpoint, loadCheckpoint } from "./tensor/LoadCheckpoint.ts"
import { atSize, writeModel } from "./tensor/ModelArtifact.ts"

const architectures = ["clip", "blip", "siglip"] as const
const presets = [...new Set(architectures.flatMap((architecture) => presetNames(architecture)))]

const Config = Schema.Struct({
  architecture: Schema.Literals(architectures).annotate({ description: "the paper whose model it is" }),
  preset: Schema.optionalKey(Schema.Literals(presets).annotate({ description: "sizes by name" })),
  config: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Json).annotate({
      description: "keys of Hugging Face's config.json: over the preset's, or without a preset all of them"
    })
  ),
  path: Schema.optionalKey(
    Schema.NonEmptyString.annotate({
      description: "a checkpoint folder, from the pipeline file's folder on; its files' content counts, not its path"
    })
  ),
  image_size: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4096 })).annotate({
      description: "with path: pixels a side that the model looks at, where it isn't what it was trained at"
    })
  )
}).check(
  Schema.makeFilter((config) => {
    if (config.path === undefined && config.image_size !== undefined)
      return "image_size goes with path: a new model has config.vision_config.image_size"
    if (config.path !== undefined)
      return (config.preset ?? config.config) === undefined || "path stands alone: the checkpoint has its own config"
    if (config.preset === undefined) return config.config !== undefined || "expected preset, config or path"
    const names = presetNames(config.architecture)
    return names.includes(config.preset) || `no preset ${config.preset} for ${config.architecture}: ${names.join(", ")}`
  })
)
type Config = typeof Config.Type

type Json = Readonly<Record<string, unknown>>
const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null && !Array.isArray(value)

/** `over` laid on `base`, tower by tower. */
const overlaid = (base: Json, over: Json): Json => {
  const inner = Object.entries(over).map(([key, value]) => {
    const below = base[key]
    return [key, isObject(below) && isObject(value) ? { ...below, ...value } : value]
  })
  return { ...base, ...Object.fromEntries(inner) }
}

/** Throws an Error that names every wrong key. */
const modelOf = (config: Config, vocab_size: number): Model => {
  const { architecture } = config
  const base =
    config.preset === undefined ? { model_type: architecture } : preset(architecture, config.preset, { vocab_size })
  const model = modelFromConfig(overlaid(base as unknown as Json, config.config ?? {}))
  if (model.architecture === architecture) return model
  throw new Error(`architecture says ${architecture}, config.model_type says ${model.architecture}`)
}

const initialWeights = (model: Model, seed: number): HostTensors =>
  Object.fromEntries(
    Object.entries(model.init(seed)).map(([name, data]) => [
      name,
      { shape: model.shapes[name]!, dtype: "float32" as const, data }
    ])
  )

const make = (config: Config, vocabulary: string, seed: number) => {
  const model = modelOf(config, wordPiece(vocabulary).vocab_size)
  tokenizerOf(model, vocabulary)
  return { model, vocabulary, weights: initialWeights(model, seed) }
}

const readVocabulary = (node: string, artifact: Artifact | undefined) =>
  artifact === undefined
    ? Effect.fail(new NodeError({ code: "R208", node, detail: "a new model needs a vocabulary; none is wired" }))
    : artifact.read("vocab.txt").pipe(Effect.map((bytes) => new TextDecoder().decode(bytes)))

const fresh = Effect.fnUntraced(function* (node: string, config: Config, seed: number, artifact: Artifact | undefined) {
  const vocabulary = yield* readVocabulary(node, artifact)
  return yield* Effect.try({
    try: () => make(config, vocabulary, seed),
    catch: (cause) =>
      new NodeError({ code: "R208", node, detail: cause instanceof Error ? cause.message : String(cause) })
  })
})

export const InitModel = Operator.fold({
  name: "InitModel",
  version: 2,
  description: "A model of a preset's or a config's sizes with fresh weights.",
  config: Config,
  inputs: { vocabulary: { artifact: "vocabulary", optional: true } },
  outputs: { model: "model" },
  random: true,
  body: {
    content: ({ node, config, directory }) =>
      config.path === undefined ? Effect.succeed(undefined) : hashCheckpoint(node, resolve(directory, config.path)),
    open: ({ node, config, seed, artifacts, writer, directory }) =>
      Effect.succeed({
        step: () => Effect.void,
        snapshot: Effect.succeed({}),
        restore: () => Effect.void,
        finish: Effect.gen(function* () {
          const model =
            config.path === undefined
              ? yield* fresh(node, config, seed, artifacts["vocabulary"])
              : yield* atSize(
                  node,
                  yield* loadCheckpoint(node, config.architecture, resolve(directory, config.path)),
                  config.image_size
                )
          yield* writeModel(writer, model)
          const sizes = Object.values(model.weights).map(({ data }) => data.length)
          return { parameters: sizes.reduce((sum, size) => sum + size, 0) }
        })
      })
  }
})
