/**
 * InitModel: a model with fresh weights, or a checkpoint's; what an entry of `models:` in a pipeline file is.
 *
 *   vocabulary   vocab.txt, as BuildVocabulary makes it   ->   model
 *   path         a folder of transformers or open_clip, which brings its own vocabulary   ->   model
 *
 * Sizes come from a preset, from keys of Hugging Face's config.json, or from a preset with some keys changed. Weights are drawn
 * as the papers' code draws them, keyed by (seed, weight name).
 */
import { openLater, Operator } from "@bootlace/graph"
import { presetNames } from "@bootlace/models/Presets"
import * as Schema from "effect/Schema"

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
export type Config = typeof Config.Type

export const InitModel = Operator.fold({
  name: "InitModel",
  version: 2,
  description: "A model of a preset's or a config's sizes with fresh weights.",
  config: Config,
  inputs: { vocabulary: { artifact: "vocabulary", optional: true } },
  outputs: { model: "model" },
  random: true,
  body: {
    content: openLater(async () => (await import("./bodies/InitModel.ts")).content),
    open: openLater(async () => (await import("./bodies/InitModel.ts")).open)
  }
})
