/**
 * ITC: image-text contrast. How near an image and its text are in the embedding space, and the loss that brings them there.
 *
 *   image_embeds, text_embeds  [E]   ->   itc_score  float32, their cosine
 *   inside Train               ->   itc_loss; similarity, every pair of the batch, scaled
 *
 * CLIP: the symmetric cross-entropy over the batch (Radford et al. 2021, figure 3). With `twin`, BLIP's: candidates and soft
 * targets come from a momentum copy of both encoders and two queues of its earlier features (Li et al. 2022, section 3.2).
 * `loss: sigmoid` is SigLIP's: each pair of the batch by itself (Zhai et al. 2023, algorithm 1).
 */
import {
  contrastive,
  contrastiveBlock,
  l2Normalize,
  momentumContrastive,
  normals,
  sigmoidBlock,
  sigmoidContrastive
} from "@bootlace/models"
import type { Model, RandomKey } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { batchSize, tensorMap } from "./tensor/tensorMap.ts"
import type { StateArray, StepContext, TrainingScope } from "./tensor/TensorOperator.ts"

const share = Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))

const config = Schema.Struct({
  batch_size: batchSize,
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
type Config = typeof config.Type

const inputs = { image_embeds: "embedding", text_embeds: "embedding" } as const
type Embeds = TrainingScope<typeof inputs>["inputs"]

interface Asked {
  readonly model: Model
  readonly config: Config
}

const wantsSigmoid = ({ loss }: Config, architecture: string | undefined): boolean =>
  (loss ?? (architecture === "siglip" ? "sigmoid" : "softmax")) === "sigmoid"

const wantsTwin = (config: Config, architecture: string | undefined): boolean =>
  !wantsSigmoid(config, architecture) && (config.twin ?? architecture === "blip")

const isSigmoid = ({ model, config }: Asked): boolean => wantsSigmoid(config, model.architecture)
const hasTwin = ({ model, config }: Asked): boolean => wantsTwin(config, model.architecture)

/** Throws in words for a person where the config or the model doesn't go with the sigmoid loss. */
const checkLoss = (at: Asked): void => {
  if (!isSigmoid(at)) return
  if (at.config.twin === true) throw new Error("ITC: twin goes with loss: softmax; the sigmoid loss has none")
  if (at.model.similarityBias === undefined)
    throw new Error(
      "ITC: loss: sigmoid needs a model with a logit_bias: architecture siglip, or clip with logit_bias_init_value in its config"
    )
}

/** [Q, E] unit vectors of random directions: what a queue holds before it has seen features. */
const unitRows = (key: RandomKey, num_rows: number, width: number): Float32Array => {
  const values = normals(key, num_rows * width)
  for (let row = 0; row < num_rows; row++) {
    const vector = values.subarray(row * width, (row + 1) * width)
    const length = Math.hypot(...vector)
    vector.forEach((value, i) => (vector[i] = value / length))
  }
  return values
}

const queues = (at: Asked, batch_size: number) => {
  const Q = at.config.queue_size ?? Math.min(32 * batch_size, 57_600)
  if (!hasTwin(at) || Q === 0) return {}
  const E = at.model.embed_dim
  const queue: StateArray = { shape: [Q, E], init: (key) => unitRows(key, Q, E) }
  return { image_queue: queue, text_queue: queue }
}

/** Alpha at this step. */
const ramped = ({ alpha, alpha_ramp_epochs }: Config, { epoch }: StepContext): number =>
  alpha * Math.min(1, alpha_ramp_epochs === 0 ? 1 : epoch / alpha_ramp_epochs)

const twinLoss = ({ inputs: embeds, twin, state, feeds }: TrainingScope<typeof inputs>, scale: tf.Tensor) =>
  momentumContrastive({
    ...embeds,
    twin_image_embeds: twin.image_embeds!,
    twin_text_embeds: twin.text_embeds!,
    ...(state.image_queue === undefined ? {} : { image_queue: state.image_queue, text_queue: state.text_queue! }),
    scale,
    alpha: feeds.alpha!
  })

const batchLoss = (at: Asked, { inputs: embeds, weights }: TrainingScope<typeof inputs>, scale: tf.Tensor) =>
  isSigmoid(at)
    ? sigmoidContrastive({ ...embeds, scale, bias: at.model.similarityBias!(weights) })
    : contrastive({ ...embeds, scale })

export const ITC = tensorMap({
  name: "ITC",
  version: 1,
  description: "Cosine of image and text embeddings; inside Train the contrastive loss of CLIP, BLIP or SigLIP.",
  config,
  inputs,
  outputs: { itc_score: "score" },
  program:
    () =>
    (_weights, { image_embeds, text_embeds }) => ({
      itc_score: tf.sum(tf.mul(l2Normalize(image_embeds), l2Normalize(text_embeds)), -1)
    }),
  training: {
    inputs,
    outputs: { itc_loss: "loss", similarity: "similarity" },
    twin: (at) => {
      checkLoss(at)
      return hasTwin(at) ? ["image_embeds", "text_embeds"] : []
    },
    momentum: ({ momentum }) => momentum,
    state: queues,
    feeds: (at, step) =>
      hasTwin(at) ? { alpha: { shape: [], dtype: "float32", data: Float32Array.of(ramped(at.config, step)) } } : {},
    program: (at) => (scope) => {
      const scale = at.model.similarityScale(scope.weights)
      const withTwin = hasTwin(at) ? twinLoss(scope, scale) : undefined
      const loss = withTwin ?? batchLoss(at, scope, scale)
      return {
        columns: {
          itc_loss: loss.itc_loss,
          similarity: { i2t: loss.similarity_i2t, t2i: loss.similarity_t2i }
        },
        metrics: { image_accuracy: loss.image_accuracy, text_accuracy: loss.text_accuracy },
        ...(withTwin === undefined || scope.state.image_queue === undefined
          ? {}
          : { enqueue: { image_queue: withTwin.enqueue_image, text_queue: withTwin.enqueue_text } })
      }
    },
    byRows: {
      refuses: (config, architecture) =>
        wantsTwin(config, architecture) ? "its twin and queues see whole batches; say `twin: false`" : undefined,
      features:
        () =>
        ({ image_embeds, text_embeds }) => ({
          image_embeds: l2Normalize(image_embeds),
          text_embeds: l2Normalize(text_embeds)
        }),
      block:
        (at) =>
        ({ weights, rows, all, places }) => {
          const { similarityScale, similarityBias } = at.model
          const block = { rows: rows as Embeds, all: all as Embeds, places, scale: similarityScale(weights) }
          const { itc_loss, ...metrics } = isSigmoid(at)
            ? sigmoidBlock({ ...block, bias: similarityBias!(weights) })
            : contrastiveBlock(block)
          return { losses: { itc_loss }, metrics }
        }
    }
  }
})
