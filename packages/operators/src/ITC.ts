/**
 * ITC: image-text contrast. How near an image and its text are in the embedding space, and the loss that brings them there.
 *
 *   image_embeds, text_embeds  [E]   ->   itc_score  float32, their cosine
 *   inside Train               ->   itc_loss; similarity, every pair of the batch, scaled
 *
 * CLIP: the symmetric cross-entropy over the batch (Radford et al. 2021, figure 3). With `twin`, BLIP's: candidates and soft
 * targets come from a momentum copy of both encoders and two queues of its earlier features (Li et al. 2022, section 3.2).
 * `same_image: positive` is what BLIP finetunes its filter and retrieval with: captions of one image are all right for it (ALBEF's and
 * LAVIS's code; Salesforce's own computes these targets, then overwrites them).
 * `loss: sigmoid` is SigLIP's: each pair of the batch by itself (Zhai et al. 2023, algorithm 1).
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { sameImage } from "./tensor/SameImageConfig.ts"
import { batchSize, deferredMap } from "./tensor/tensorMap.ts"

const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

const config = Schema.Struct({
  batch_size: batchSize,
  same_image: sameImage,
  loss: Schema.optionalKey(
    Schema.Literals(["softmax", "sigmoid"]).annotate({
      description:
        "in Train: over all texts of the batch, or each pair by itself; default: sigmoid for SigLIP, else softmax"
    })
  ),
  twin: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "in Train: momentum features and soft targets; default: for BLIP yes, for CLIP no"
    })
  ),
  queue_size: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000 })).annotate({
      description: "in Train, with twin: features kept from earlier steps; default 32 batches, at most BLIP's 57600"
    })
  ),
  momentum: share
    .annotate({ description: "in Train, with twin: what the momentum weights keep of themselves at a step" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.995))),
  alpha: share
    .annotate({ description: "in Train, with twin: share of the soft targets once it is ramped up" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(0.4))),
  alpha_ramp_epochs: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
    .annotate({ description: "in Train, with twin: passes over the data in which alpha grows from 0" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(2)))
})
export type Config = typeof config.Type

export const wantsSigmoid = ({ loss }: Config, architecture: string | undefined): boolean =>
  (loss ?? (architecture === "siglip" ? "sigmoid" : "softmax")) === "sigmoid"

export const wantsTwin = (config: Config, architecture: string | undefined): boolean =>
  !wantsSigmoid(config, architecture) && (config.twin ?? architecture === "blip")

/** For gradient caching. */
export const refusesRows = (config: Config, architecture: string | undefined): string | undefined =>
  wantsTwin(config, architecture)
    ? "its twin and queues see whole batches; say `twin: false`"
    : config.same_image === "positive"
      ? "`same_image: positive` sees whole batches; say `negative`"
      : undefined

const inputs = { image_embeds: "embedding", text_embeds: "embedding" } as const

export const ITC = deferredMap({
  name: "ITC",
  version: 1,
  description: "Cosine of image and text embeddings; inside Train the contrastive loss of CLIP, BLIP or SigLIP.",
  config,
  inputs,
  outputs: { itc_score: "score" },
  training: { inputs, outputs: { itc_loss: "loss", similarity: "similarity" } },
  refusesRows,
  programs: () => import("./bodies/ITC.ts")
})
