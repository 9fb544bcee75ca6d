/** TextEncoder at work: the model's text tower, in Train with dropout where it is asked for. */
import { l2Normalize } from "@bootlace/models"
import type { TokenTensors, Weights } from "@bootlace/models"
import { dropoutFeeds, withDropout } from "../tensor/TextDropout.ts"
import type { ProgramContext, TensorsOf, TrainingLife } from "../tensor/TensorOperator.ts"
import type { Config } from "../TextEncoder.ts"

type At = ProgramContext<Config>
type Inputs = { readonly text: "text" }

const encode = ({ model, config }: At, weights: Weights, text: TokenTensors) => {
  const text_embeds_BE = model.encodeText(weights, text)
  return { text_embeds: config.normalize ? l2Normalize(text_embeds_BE) : text_embeds_BE }
}

export const program =
  (at: At) =>
  (weights: Weights, { text }: TensorsOf<Inputs>) =>
    encode(at, weights, text)

export const training: TrainingLife<Config, Inputs, { readonly text_embeds: "embedding" }> = {
  inputs: { text: "text" },
  outputs: { text_embeds: "embedding" },
  feeds: ({ config }, step) => dropoutFeeds(config, step),
  program:
    (at) =>
    ({ weights, inputs: { text }, ...scope }) => ({
      columns: encode(at, weights, withDropout(text, at, scope))
    })
}
