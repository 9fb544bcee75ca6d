/** ITC at work: the cosine, and in Train the contrastive losses with their twin, queues and ramp. */
import {
  contrastive,
  contrastiveBlock,
  l2Normalize,
  momentumContrastive,
  noImage,
  normals,
  sigmoidBlock,
  sigmoidContrastive
} from "@bootlace/models"
import type { Model, MomentumContrastiveOutputs, RandomKey, Weights } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import { refusesRows, wantsSigmoid, wantsTwin } from "../ITC.ts"
import type { Config } from "../ITC.ts"
import type { StateArray, StepContext, TrainingLife, TrainingScope } from "../tensor/TensorOperator.ts"

type Inputs = { readonly image_embeds: "embedding"; readonly text_embeds: "embedding" }
type Outputs = { readonly itc_loss: "loss"; readonly similarity: "similarity" }
type Embeds = TrainingScope<Inputs>["inputs"]

interface Asked {
  readonly model: Model
  readonly config: Config
}

const isSigmoid = ({ model, config }: Asked): boolean => wantsSigmoid(config, model.architecture)
const hasTwin = ({ model, config }: Asked): boolean => wantsTwin(config, model.architecture)

const goesByImages = ({ config }: Asked): boolean => config.same_image === "positive"

/** Throws in words for a person where the config or the model doesn't go with the sigmoid loss. */
const checkLoss = (at: Asked): void => {
  if (!isSigmoid(at)) return
  if (at.config.twin === true) throw new Error("ITC: twin goes with loss: softmax; the sigmoid loss has none")
  if (goesByImages(at)) throw new Error("ITC: same_image: positive goes with loss: softmax")
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
  const images: StateArray = { shape: [Q, 2], init: () => new Float32Array(2 * Q).fill(noImage) }
  return { image_queue: queue, text_queue: queue, ...(goesByImages(at) ? { idx_queue: images } : {}) }
}

/** Alpha at this step. */
const ramped = ({ alpha, alpha_ramp_epochs }: Config, { epoch }: StepContext): number =>
  alpha * Math.min(1, alpha_ramp_epochs === 0 ? 1 : epoch / alpha_ramp_epochs)

const twinLoss = ({ inputs: embeds, twin, state, feeds, image_ids }: TrainingScope<Inputs>, scale: tf.Tensor) =>
  momentumContrastive({
    ...embeds,
    twin_image_embeds: twin.image_embeds!,
    twin_text_embeds: twin.text_embeds!,
    ...(state.image_queue === undefined ? {} : { image_queue: state.image_queue, text_queue: state.text_queue! }),
    ...(image_ids === undefined ? {} : { image_ids }),
    ...(state.idx_queue === undefined ? {} : { idx_queue: state.idx_queue }),
    scale,
    alpha: feeds.alpha!
  })

const batchLoss = (at: Asked, { inputs: embeds, weights, image_ids }: TrainingScope<Inputs>, scale: tf.Tensor) =>
  isSigmoid(at)
    ? sigmoidContrastive({ ...embeds, scale, bias: at.model.similarityBias!(weights) })
    : contrastive({ ...embeds, scale, ...(image_ids === undefined ? {} : { image_ids }) })

const enqueued = (
  { enqueue_image, enqueue_text }: MomentumContrastiveOutputs,
  { image_ids }: TrainingScope<Inputs>
) => ({
  image_queue: enqueue_image,
  text_queue: enqueue_text,
  ...(image_ids === undefined ? {} : { idx_queue: image_ids })
})

export const program =
  () =>
  (_weights: Weights, { image_embeds, text_embeds }: Embeds) => ({
    itc_score: tf.sum(tf.mul(l2Normalize(image_embeds), l2Normalize(text_embeds)), -1)
  })

export const training: TrainingLife<Config, Inputs, Outputs> = {
  inputs: { image_embeds: "embedding", text_embeds: "embedding" },
  outputs: { itc_loss: "loss", similarity: "similarity" },
  twin: (at) => {
    checkLoss(at)
    return hasTwin(at) ? ["image_embeds", "text_embeds"] : []
  },
  momentum: ({ momentum }) => momentum,
  state: queues,
  imageIds: (at) => (goesByImages(at) ? { of: "image_embeds", at_least: 1 } : undefined),
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
      ...(withTwin === undefined || scope.state.image_queue === undefined ? {} : { enqueue: enqueued(withTwin, scope) })
    }
  },
  byRows: {
    refuses: refusesRows,
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
