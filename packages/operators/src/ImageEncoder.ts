/**
 * ImageEncoder: one embedding, and the tokens behind it, per image.
 *
 *   image         struct<bytes, path>, decoded and resized as the model's preprocessing says
 *   image_embeds  [E]     float32, unit length when `normalize` is true
 *   image_tokens  [N, D]  float32, last hidden states of the vision tower
 *
 * Radford et al. 2021, section 2.4; Li et al. 2022, section 3.1; Zhai et al. 2023 (attention pooling).
 */
import { l2Normalize } from "@bootlace/models"
import { Schema } from "effect"
import { batchSize, normalize, tensorMap } from "./tensor/tensorMap.ts"

export const ImageEncoder = tensorMap({
  name: "ImageEncoder",
  version: 1,
  description: "Embeds images with the model's vision tower.",
  config: Schema.Struct({ normalize, batch_size: batchSize }),
  model: ["clip", "blip", "siglip"],
  inputs: { image: "image" },
  outputs: { image_embeds: "embedding", image_tokens: "image_tokens" },
  program:
    ({ model, config }) =>
    (weights, { image: pixels_BCHW }) => {
      const { image_embeds, image_tokens } = model.encodeImage(weights, pixels_BCHW)
      return { image_embeds: config.normalize ? l2Normalize(image_embeds) : image_embeds, image_tokens }
    },
  training: "same"
})
