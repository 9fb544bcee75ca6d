/**
 * TextEncoder: one embedding per text.
 *
 *   text         utf8, cut to the model's longest text
 *   text_embeds  [E]  float32, unit length when `normalize` is true
 *
 * Radford et al. 2021, section 2.4 (causal transformer, end-of-text token); Li et al. 2022, section 3.1 (BERT, [CLS]);
 * Zhai et al. 2023 (the last place of a text padded to full length).
 */
import { l2Normalize } from "@bootlace/models"
import * as Schema from "effect/Schema"
import { batchSize, normalize, tensorMap } from "./tensor/tensorMap.ts"

export const TextEncoder = tensorMap({
  name: "TextEncoder",
  version: 2,
  description: "Embeds texts with the model's text tower.",
  config: Schema.Struct({ normalize, batch_size: batchSize }),
  model: ["clip", "blip", "siglip"],
  inputs: { text: "text" },
  outputs: { text_embeds: "embedding" },
  program:
    ({ model, config }) =>
    (weights, { text }) => {
      const text_embeds_BE = model.encodeText(weights, text)
      return { text_embeds: config.normalize ? l2Normalize(text_embeds_BE) : text_embeds_BE }
    },
  training: "same"
})
