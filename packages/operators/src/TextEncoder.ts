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
import type { Model, TokenTensors, Weights } from "@bootlace/models"
import * as Schema from "effect/Schema"
import { dropout, dropoutFeeds, withDropout } from "./tensor/TextDropout.ts"
import { batchSize, normalize, tensorMap } from "./tensor/tensorMap.ts"

const inputs = { text: "text" } as const
const outputs = { text_embeds: "embedding" } as const

interface At {
  readonly model: Model
  readonly config: { readonly normalize: boolean }
}

const encode = ({ model, config }: At, weights: Weights, text: TokenTensors) => {
  const text_embeds_BE = model.encodeText(weights, text)
  return { text_embeds: config.normalize ? l2Normalize(text_embeds_BE) : text_embeds_BE }
}

export const TextEncoder = tensorMap({
  name: "TextEncoder",
  version: 2,
  description: "Embeds texts with the model's text tower.",
  config: Schema.Struct({ normalize, dropout, batch_size: batchSize }),
  model: ["clip", "blip", "siglip"],
  inputs,
  outputs,
  program:
    (at) =>
    (weights, { text }) =>
      encode(at, weights, text),
  training: {
    inputs,
    outputs,
    feeds: ({ config }, step) => dropoutFeeds(config, step),
    program:
      (at) =>
      ({ weights, inputs: { text }, ...scope }) => ({
        columns: encode(at, weights, withDropout(text, at, scope))
      })
  }
})
