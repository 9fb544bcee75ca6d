/** What a Train node can be told. What is left out takes the paper's value for the model's architecture. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Augment } from "./AugmentConfig.ts"
import { LoraConfig } from "./LoraConfig.ts"

const positive = Schema.Finite.check(Schema.isGreaterThan(0))
const notNegative = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const share = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0), Schema.isLessThan(1))
const count = (minimum: number) => Schema.Int.check(Schema.isGreaterThanOrEqualTo(minimum))

export const objectives = ["itc", "itm", "lm"] as const
export type Objective = (typeof objectives)[number]

/** Keys that say something of the standard graph. */
export const shorthands = ["objectives", "label_smoothing", "patch_dropout", "dropout"] as const

const nodeConfig = (operator: string) =>
  Schema.optionalKey(Schema.Record(Schema.String, Schema.Json).annotate({ description: `config of ${operator}` }))

export const TrainConfig = Schema.Struct({
  steps: count(1).annotate({ description: "optimiser steps" }),
  batch_size: count(2)
    .annotate({ description: "rows of a step" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(64))),
  micro_batch_size: Schema.optionalKey(
    count(1).annotate({
      description: "rows encoded at once, for batches that memory can't hold: the same gradients, a third more work"
    })
  ),
  memory: Schema.optionalKey(
    Schema.Literal("low").annotate({
      description:
        "activations between the sums of a transformer's layers are computed again in the backward pass: a fraction of the memory, about a seventh more time; not with micro_batch_size"
    })
  ),
  learning_rate: Schema.optionalKey(
    positive.annotate({ description: "at its peak; default 5e-4 for CLIP, 3e-4 for BLIP, 1e-3 for SigLIP" })
  ),
  warmup_steps: Schema.optionalKey(
    count(0).annotate({ description: "linear warm-up; default a tenth of the steps, at most the paper's 2000 or 3000" })
  ),
  schedule: Schema.Literals(["cosine", "constant", "epoch_decay", "epoch_cosine"])
    .annotate({
      description:
        "after the warm-up: down along a cosine, level, or moving once an epoch: times lr_decay_rate as in BLIP's pre-training, along a cosine as in its fine-tuning"
    })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("cosine" as const))),
  lr_decay_rate: Schema.optionalKey(
    positive
      .check(Schema.isLessThanOrEqualTo(1))
      .annotate({ description: "of the schedule epoch_decay: factor of each epoch, default 0.9" })
  ),
  min_learning_rate: Schema.optionalKey(
    notNegative.annotate({ description: "where the schedule ends; default 0, of epoch_decay 1e-6" })
  ),
  optimizer: Schema.optionalKey(
    Schema.Struct({
      betas: Schema.optionalKey(Schema.Tuple([share, share]).annotate({ description: "decay of the two moments" })),
      eps: Schema.optionalKey(positive.annotate({ description: "added to the root of the second moment" })),
      weight_decay: Schema.optionalKey(notNegative.annotate({ description: "decoupled decay" }))
    }).annotate({ description: "AdamW; default the paper's for the architecture" })
  ),
  max_grad_norm: Schema.optionalKey(positive.annotate({ description: "gradients are scaled down to this L2 norm" })),
  ema: Schema.optionalKey(
    share.annotate({
      description: "the model is an average of the weights, which keeps this share of itself at a step, e.g. 0.999"
    })
  ),
  freeze: Schema.optionalKey(
    Schema.NonEmptyArray(Schema.String).annotate({
      description: "weights that stay as they are: `image`, `text`, or how their names begin, e.g. [image] for LiT"
    })
  ),
  lora: Schema.optionalKey(
    LoraConfig.annotate({ description: "train low-rank adapters only, merged into the model at the end" })
  ),
  augment: Schema.Union([Schema.Literal("none"), Augment])
    .annotate({ description: "random crops and flips of the images" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed("none" as const))),
  group_by_length: Schema.Boolean.annotate({
    description: "batches of texts of like length: less padding, so faster, with negatives a little more alike"
  }).pipe(Schema.withDecodingDefaultKey(Effect.succeed(false))),
  checkpoint_every: count(1)
    .annotate({ description: "steps between checkpoints" })
    .pipe(Schema.withDecodingDefaultKey(Effect.succeed(100))),
  objectives: Schema.optionalKey(
    Schema.Union([
      Schema.NonEmptyArray(Schema.Literals(objectives)),
      Schema.Struct({ itc: nodeConfig("ITC"), itm: nodeConfig("ITM"), lm: nodeConfig("LMDecoder") })
    ]).annotate({
      description:
        "instead of a graph: the standard one for these losses on `pairs`; as a map with each operator's config"
    })
  ),
  image_size: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4096 })).annotate({
      description:
        "pixels a side that the model is trained at and looks at from then on: its positions are interpolated"
    })
  ),
  patch_dropout: Schema.optionalKey(
    share.annotate({ description: "with objectives: share of each image's patches that a step leaves out (FLIP)" })
  ),
  dropout: Schema.optionalKey(
    share.annotate({
      description: "with objectives: share of the text transformer's activations that a step leaves out; BLIP's has 0.1"
    })
  ),
  label_smoothing: Schema.optionalKey(share.annotate({ description: "of the objective lm; default 0.1" }))
})
export type TrainConfig = typeof TrainConfig.Type

/** Rows of a micro-batch; undefined where the batch is computed whole. */
export const microBatchSize = ({ micro_batch_size, batch_size }: TrainConfig): number | undefined =>
  micro_batch_size === undefined || micro_batch_size >= batch_size ? undefined : micro_batch_size
