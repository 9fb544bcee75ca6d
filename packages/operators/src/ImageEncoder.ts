/**
 * ImageEncoder: one embedding, and the tokens behind it, per image.
 *
 *   image         struct<bytes, path>, decoded and resized as the model's preprocessing says
 *   image_embeds  [E]     float32, unit length when `normalize` is true
 *   image_tokens  [N, D]  float32, last hidden states of the vision tower
 *
 * Radford et al. 2021, section 2.4; Li et al. 2022, section 3.1; Zhai et al. 2023 (attention pooling).
 */
import * as Schema from "effect/Schema"
import { batchSize, deferredMap, normalize } from "./tensor/tensorMap.ts"

const config = Schema.Struct({
  normalize,
  patch_dropout: Schema.optionalKey(
    Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)).annotate({
      description: "in Train: share of each image's patches that a step leaves out, at random; for clip and blip"
    })
  ),
  batch_size: batchSize
})
export type Config = typeof config.Type

const inputs = { image: "image" } as const
const outputs = { image_embeds: "embedding", image_tokens: "image_tokens" } as const

export const ImageEncoder = deferredMap({
  name: "ImageEncoder",
  version: 4,
  description: "Embeds images with the model's vision tower.",
  config,
  model: ["clip", "blip", "siglip"],
  inputs,
  outputs,
  looks: true,
  training: { inputs, outputs },
  programs: () => import("./bodies/ImageEncoder.ts")
})
