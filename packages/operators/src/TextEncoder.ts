/**
 * TextEncoder: one embedding per text.
 *
 *   text         utf8, cut to the model's longest text
 *   text_embeds  [E]  float32, unit length when `normalize` is true
 *
 * Radford et al. 2021, section 2.4 (causal transformer, end-of-text token); Li et al. 2022, section 3.1 (BERT, [CLS]);
 * Zhai et al. 2023 (the last place of a text padded to full length).
 */
import * as Schema from "effect/Schema"
import { dropout } from "./tensor/DropoutConfig.ts"
import { batchSize, deferredMap, normalize } from "./tensor/tensorMap.ts"

const config = Schema.Struct({ normalize, dropout, batch_size: batchSize })
export type Config = typeof config.Type

const inputs = { text: "text" } as const
const outputs = { text_embeds: "embedding" } as const

export const TextEncoder = deferredMap({
  name: "TextEncoder",
  version: 3,
  description: "Embeds texts with the model's text tower.",
  config,
  model: ["clip", "blip", "siglip"],
  inputs,
  outputs,
  training: { inputs, outputs },
  programs: () => import("./bodies/TextEncoder.ts")
})
