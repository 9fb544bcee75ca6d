/**
 * The training steps that are timed: a `tiny` model (64 px, patch 8, 4 layers of width 128 in both towers), 32 tokens, a vocabulary of
 * 4,096, random weights and data from a fixed seed.
 *
 *   clip-tiny  batch 64, the contrastive loss
 *   blip-tiny  batch 32, ITC with twin and a queue of 2,048, ITM over 96 rows, LM
 *
 * And one step by gradient caching in micro-batches of 64, for its memory; only where they are named:
 *
 *   clip-tiny-4096   batch 4,096      clip-tiny-32768  batch 32,768
 */
import type { HostTensor, HostTensors, MicroBatches, Optimizer, TrainingProgram, TrainingStart } from "@bootlace/engine"
import {
  blipOptimizer,
  clipOptimizer,
  contrastive,
  contrastiveBlock,
  l2Normalize,
  languageModeling,
  matching,
  modelFromConfig,
  momentumContrastive,
  preset
} from "@bootlace/models"
import type { BlipModel, Model } from "@bootlace/models"
import { Effect } from "effect"

export interface TrainCase {
  readonly model: Model
  readonly program: TrainingProgram
  readonly optimizer: Optimizer
  readonly weights: HostTensors
  readonly inputs: HostTensors
  readonly start: Extract<TrainingStart, { readonly _tag: "Fresh" }>
  /** Instead of `inputs`: the batch in micro-batches. */
  readonly cached?: MicroBatches<never>
  /** A state array and the output that is enqueued into it after a step. */
  readonly enqueue: Readonly<Record<string, string>>
}

export const learning_rate = 5e-4
export const eos_token_id = 3
const vocab_size = 4096
const tokens = 32
const queue_size = 2048

/** Numbers in [0, 1): a Lehmer generator. Each case starts its own, so that every process sees the same data. */
function numbers(state = 1): () => number {
  return () => (state = (state * 48271) % 2147483647) / 2147483647
}

const random = (shape: ReadonlyArray<number>, next: () => number): HostTensor => ({
  shape,
  dtype: "float32",
  data: Float32Array.from({ length: shape.reduce((size, length) => size * length, 1) }, () => 2 * next() - 1)
})
const integers = (shape: ReadonlyArray<number>, of: (index: number) => number): HostTensor => ({
  shape,
  dtype: "int32",
  data: Int32Array.from({ length: shape.reduce((size, length) => size * length, 1) }, (_, index) => of(index))
})

/** Texts of 6 to 30 tokens between [CLS] and [SEP], then padding. */
function textRows(B: number, next: () => number) {
  const lengths = Array.from({ length: B }, () => 6 + Math.floor(next() * 25))
  const at = (index: number) => ({ length: lengths[Math.floor(index / tokens)]!, position: index % tokens })
  const input_ids = integers([B, tokens], (index) => {
    const { length, position } = at(index)
    if (position === 0) return 2
    return position < length ? 6 + Math.floor(next() * (vocab_size - 6)) : position === length ? eos_token_id : 0
  })
  const attention_mask = integers([B, tokens], (index) => Number(at(index).position <= at(index).length))
  return { input_ids, attention_mask }
}

const weightsOf = (model: Model): HostTensors => {
  const initial = model.init(1)
  return Object.fromEntries(
    Object.entries(model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32", data: initial[name]! }])
  )
}

const clipInputs = (B: number, next: () => number): HostTensors => ({
  pixel_values: random([B, 3, 64, 64], next),
  ...textRows(B, next)
})

function clip(): TrainCase {
  const model = modelFromConfig(preset("clip", "tiny", { vocab_size }))
  const embed = ({ weights, inputs }: Parameters<NonNullable<TrainingProgram["byRows"]>["features"]>[0]) => ({
    image_embeds: model.encodeImage(weights, inputs.pixel_values!).image_embeds,
    text_embeds: model.encodeText(weights, {
      input_ids: inputs.input_ids!,
      attention_mask: inputs.attention_mask!
    })
  })
  const program: TrainingProgram = {
    name: "clip-tiny",
    weights: Object.keys(model.shapes),
    twin: [],
    state: {},
    run: (at) => {
      const { itc_loss } = contrastive({ ...embed(at), scale: model.similarityScale(at.weights) })
      return { losses: { itc_loss }, outputs: {} }
    },
    byRows: {
      features: (at) => {
        const { image_embeds, text_embeds } = embed(at)
        return { image_embeds: l2Normalize(image_embeds), text_embeds: l2Normalize(text_embeds) }
      },
      block: ({ weights, rows, all, places }) => {
        const features = { rows: rows as ReturnType<typeof embed>, all: all as ReturnType<typeof embed> }
        const { itc_loss } = contrastiveBlock({ ...features, places, scale: model.similarityScale(weights) })
        return { losses: { itc_loss }, outputs: {} }
      }
    }
  }
  return {
    model,
    program,
    optimizer: { ...clipOptimizer, clamp: model.clamp },
    weights: weightsOf(model),
    inputs: clipInputs(64, numbers()),
    start: { _tag: "Fresh", state: {} },
    enqueue: {}
  }
}

/** Each micro-batch is made anew when it is asked for. */
const cachedClip = (batch_size: number) => (): TrainCase => {
  const inputs = (index: number) => Effect.sync(() => clipInputs(64, numbers(index + 1)))
  return { ...clip(), cached: { sizes: Array.from({ length: batch_size / 64 }, () => 64), inputs } }
}

const blipProgram = (model: BlipModel): TrainingProgram => ({
  name: "blip-tiny",
  weights: Object.keys(model.shapes),
  twin: model.encoderWeights,
  state: {
    image_queue: { shape: [queue_size, model.embed_dim], dtype: "float32" },
    text_queue: { shape: [queue_size, model.embed_dim], dtype: "float32" }
  },
  run: ({ weights, twin, state, inputs }) => {
    const text = (ids: string) => ({ input_ids: inputs[ids]!, attention_mask: inputs.attention_mask! })
    const online = model.encodeImage(weights, inputs.pixel_values!)
    const { itc_loss, enqueue_image, enqueue_text } = momentumContrastive({
      image_embeds: online.image_embeds,
      text_embeds: model.encodeText(weights, text("input_ids")),
      twin_image_embeds: model.encodeImage(twin, inputs.pixel_values!).image_embeds,
      twin_text_embeds: model.encodeText(twin, text("input_ids")),
      image_queue: state.image_queue!,
      text_queue: state.text_queue!,
      scale: model.similarityScale(weights),
      alpha: inputs.alpha!
    })
    const negatives = { image_indices: inputs.neg_image_idx!, text_indices: inputs.neg_text_idx! }
    const { itm_loss } = matching(model, weights, online.image_tokens, text("encoder_ids"), negatives)
    const { lm_loss } = languageModeling({
      logits: model.decodeLogits(weights, online.image_tokens, text("decoder_ids")),
      input_ids: inputs.decoder_ids!,
      target_mask: inputs.attention_mask!,
      label_smoothing: 0.1
    })
    return { losses: { itc_loss, itm_loss, lm_loss }, outputs: { enqueue_image, enqueue_text } }
  }
})

function blip(): TrainCase {
  const next = numbers()
  const B = 32
  const model = modelFromConfig(preset("blip", "tiny", { vocab_size })) as BlipModel
  const { input_ids, attention_mask } = textRows(B, next)
  const startingWith = (token: number) =>
    integers([B, tokens], (index) => (index % tokens === 0 ? token : input_ids.data[index]!))
  const unitRows = (): HostTensor => {
    const rows = random([queue_size, model.embed_dim], next)
    const data = rows.data.map((value) => value * Math.sqrt(3 / model.embed_dim))
    return { ...rows, data: data as Float32Array }
  }
  return {
    model,
    program: blipProgram(model),
    optimizer: { ...blipOptimizer, clamp: model.clamp, momentum: 0.995 },
    weights: weightsOf(model),
    inputs: {
      pixel_values: random([B, 3, 64, 64], next),
      input_ids,
      attention_mask,
      encoder_ids: startingWith(4),
      decoder_ids: startingWith(5),
      neg_image_idx: integers([B], (row) => (row + 1) % B),
      neg_text_idx: integers([B], (row) => (row + 3) % B),
      alpha: { shape: [], dtype: "float32", data: Float32Array.of(0.4) }
    },
    start: { _tag: "Fresh", state: { image_queue: unitRows(), text_queue: unitRows() } },
    enqueue: { image_queue: "enqueue_image", text_queue: "enqueue_text" }
  }
}

export const trainCases: Readonly<Record<string, () => TrainCase>> = {
  "clip-tiny": clip,
  "blip-tiny": blip,
  "clip-tiny-4096": cachedClip(4096),
  "clip-tiny-32768": cachedClip(32_768)
}
