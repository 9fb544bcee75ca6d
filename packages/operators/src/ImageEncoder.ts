/**
 * ImageEncoder: one embedding, and the tokens behind it, per image.
 *
 *   image         struct<bytes, path>, decoded and resized as the model's preprocessing says
 *   image_embeds  [E]     float32, unit length when `normalize` is true
 *   image_tokens  [N, D]  float32, last hidden states of the vision tower
 *
 * Radford et al. 2021, section 2.4; Li et al. 2022, section 3.1; Zhai et al. 2023 (attention pooling).
 */
import type { HostTensor } from "@bootlace/engine"
import { l2Normalize } from "@bootlace/models"
import type { Model, Weights } from "@bootlace/models"
import type { Tensor } from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { unitRows } from "./metrics/Similarity.ts"
import { keptPatches } from "./tensor/PatchDropout.ts"
import { batchSize, normalize, tensorMap } from "./tensor/tensorMap.ts"

const inputs = { image: "image" } as const
const outputs = { image_embeds: "embedding", image_tokens: "image_tokens" } as const

interface At {
  readonly model: Model
  readonly config: { readonly normalize: boolean }
}

const encode = ({ model, config }: At, weights: Weights, pixels_BCHW: Tensor, kept_BK?: Tensor) => {
  const { image_embeds, image_tokens } = model.encodeImage(weights, pixels_BCHW, kept_BK)
  return { image_embeds: config.normalize ? l2Normalize(image_embeds) : image_embeds, image_tokens }
}

const normalized = (embeds: HostTensor, width: number): HostTensor => ({
  ...embeds,
  data: unitRows(embeds.data as Float32Array, width)
})

export const ImageEncoder = tensorMap({
  name: "ImageEncoder",
  version: 3,
  description: "Embeds images with the model's vision tower.",
  config: Schema.Struct({
    normalize,
    patch_dropout: Schema.optionalKey(
      Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1)).annotate({
        description: "in Train: share of each image's patches that a step leaves out, at random; for clip and blip"
      })
    ),
    batch_size: batchSize
  }),
  model: ["clip", "blip", "siglip"],
  inputs,
  outputs,
  program:
    (at) =>
    (weights, { image }) =>
      encode(at, weights, image),
  looks: true,
  lifted: ({ config, model }, { tower }) => ({
    run: ({ image }) =>
      Effect.map(tower!(image!), ({ image_embeds, image_tokens }) => ({
        image_embeds: config.normalize ? normalized(image_embeds!, model.embed_dim) : image_embeds!,
        image_tokens: image_tokens!
      }))
  }),
  training: {
    inputs,
    outputs,
    feeds: ({ model, config: { patch_dropout = 0 } }, step) =>
      patch_dropout === 0 ? {} : { kept: keptPatches(model.image_tokens[0] - 1, patch_dropout, step) },
    program:
      (at) =>
      ({ weights, inputs: { image }, feeds }) => ({ columns: encode(at, weights, image, feeds.kept) })
  }
})
