/** ImageEncoder at work: the model's vision tower, and in Train the same on the patches that a step keeps. */
import type { HostTensor } from "@bootlace/engine"
import { l2Normalize } from "@bootlace/models"
import type { Weights } from "@bootlace/models"
import type { Tensor } from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type { Config } from "../ImageEncoder.ts"
import { unitRows } from "../metrics/Similarity.ts"
import { keptPatches } from "../tensor/PatchDropout.ts"
import type { DriveContext } from "../tensor/tensorMap.ts"
import type { Drive, ProgramContext, TensorsOf, TrainingLife } from "../tensor/TensorOperator.ts"

type At = ProgramContext<Config>
type Inputs = { readonly image: "image" }
type Outputs = { readonly image_embeds: "embedding"; readonly image_tokens: "image_tokens" }

const encode = ({ model, config }: At, weights: Weights, pixels_BCHW: Tensor, kept_BK?: Tensor) => {
  const { image_embeds, image_tokens } = model.encodeImage(weights, pixels_BCHW, kept_BK)
  return { image_embeds: config.normalize ? l2Normalize(image_embeds) : image_embeds, image_tokens }
}

const normalized = (embeds: HostTensor, width: number): HostTensor => ({
  ...embeds,
  data: unitRows(embeds.data as Float32Array, width)
})

export const program =
  (at: At) =>
  (weights: Weights, { image }: TensorsOf<Inputs>) =>
    encode(at, weights, image)

export const lifted = ({ config, model }: At, { tower }: DriveContext): Drive => ({
  run: ({ image }) =>
    Effect.map(tower!(image!), ({ image_embeds, image_tokens }) => ({
      image_embeds: config.normalize ? normalized(image_embeds!, model.embed_dim) : image_embeds!,
      ...(image_tokens && { image_tokens })
    }))
})

export const training: TrainingLife<Config, Inputs, Outputs> = {
  inputs: { image: "image" },
  outputs: { image_embeds: "embedding", image_tokens: "image_tokens" },
  feeds: ({ model, config: { patch_dropout = 0 } }, step) =>
    patch_dropout === 0 ? {} : { kept: keptPatches(model.image_tokens[0] - 1, patch_dropout, step) },
  program:
    (at) =>
    ({ weights, inputs: { image }, feeds }) => ({ columns: encode(at, weights, image, feeds["kept"]) })
}
