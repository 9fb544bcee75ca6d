/**
 * ZeroShotClassifier: how often the nearest class, described by sentences, is the right one.
 *
 *   image_embeds  [E]
 *   class_name    text, the row's class; the classes are the names that occur, in order
 *   metrics       top1, top5: shares in [0, 1]; num_classes; chance = 1 / num_classes; rows
 *
 * A class's weight is the mean of its prompts' unit embeddings, scaled to unit length; an image belongs to the class of the
 * highest cosine, ties to the first. Radford et al. 2021, section 3.1.4.
 */
import { openLater, Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { batchSize } from "./tensor/tensorMap.ts"

const ensembles = ["clip_7", "clip_80"] as const

const Template = Schema.String.check(
  Schema.makeFilter((text) => text.includes("{label}") || "expected {label}, where the class's name goes")
)

const config = Schema.Struct({
  templates: Schema.Union([Schema.Literals(ensembles), Schema.NonEmptyArray(Template)])
    .annotate({
      description: "sentences with {label}, or CLIP's published ones by name; a class is the mean of its sentences"
    })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("clip_7" as const))),
  batch_size: batchSize
})
export type Config = typeof config.Type

export const ZeroShotClassifier = Operator.fold({
  name: "ZeroShotClassifier",
  version: 3,
  description: "Classifies images by sentences about their classes: top-1 and top-5 accuracy.",
  config,
  model: ["clip", "blip", "siglip"],
  tensor: true,
  inputs: { image_embeds: "embedding", class_name: "text" },
  outputs: { metrics: "metrics" },
  body: { open: openLater(async () => (await import("./bodies/ZeroShotClassifier.ts")).open) }
})
