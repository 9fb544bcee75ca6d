/**
 * The models whose training steps are timed, with random weights from a fixed seed.
 *
 *   clip-tiny   64 px, patch 8, 4 layers of width 128 in both towers, 32 tokens, a vocabulary of 4,096; batch 64
 *   clip-small  ViT-S/16 and a text tower of 12 x 384, 77 tokens, CLIP's vocabulary; batch 16
 *   blip-tiny   the tiny towers, ITC with twin and a queue of 2,048, ITM over 96 rows, LM; batch 32
 *   blip-small  ViT-S/16 and MED of 6 x 384, 30 tokens, BLIP's vocabulary of 30,524, the same losses; batch 8
 *   clip-nano, blip-nano  stand for the others with --nano
 *
 * The contrastive loss is CLIP's (Radford et al. 2021, figure 3); ITC, ITM and LM are BLIP's (Li et al. 2022, section 3.2).
 */
import type { Optimizer, TrainingProgram } from "@bootlace/engine"
import {
  blipOptimizer,
  clipOptimizer,
  contrastive,
  contrastiveBlock,
  l2Normalize,
  modelFromConfig,
  preset
} from "@bootlace/models"
import type { BlipConfig, BlipModel, Model } from "@bootlace/models"
import { blipPretraining } from "../../test/engine/BlipPretraining.ts"

/** Token ids that start and end a text. */
export interface TokenIds {
  readonly cls: number
  readonly sep: number
  readonly enc: number
  readonly dec: number
}

export interface TrainModel {
  readonly model: Model
  readonly program: TrainingProgram
  readonly optimizer: Optimizer
  readonly batch_size: number
  /** Of a padded text. */
  readonly tokens: number
  readonly ids: TokenIds
  /** A state array and the output that is enqueued into it after a step. */
  readonly enqueue: Readonly<Record<string, string>>
}

export const learning_rate = 5e-4
export const queue_size = 2048
const ownIds: TokenIds = { cls: 2, sep: 3, enc: 4, dec: 5 }

function clip(name: string, batch_size: number, tokens: number, model: Model, ids: TokenIds): TrainModel {
  const embed = ({ weights, inputs }: Parameters<NonNullable<TrainingProgram["byRows"]>["features"]>[0]) => ({
    image_embeds: model.encodeImage(weights, inputs.pixel_values!).image_embeds,
    text_embeds: model.encodeText(weights, {
      input_ids: inputs.input_ids!,
      attention_mask: inputs.attention_mask!
    })
  })
  const program: TrainingProgram = {
    name,
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
    batch_size,
    tokens,
    ids,
    enqueue: {}
  }
}

function blip(name: string, batch_size: number, tokens: number, model: BlipModel, ids: TokenIds): TrainModel {
  return {
    model,
    program: blipPretraining(name, model, queue_size),
    optimizer: { ...blipOptimizer, clamp: model.clamp, momentum: 0.995 },
    batch_size,
    tokens,
    ids,
    enqueue: { image_queue: "enqueue_image", text_queue: "enqueue_text" }
  }
}

/** BLIP of ViT-S/16 with half of the preset's text layers and a vocabulary as large as BLIP's. */
export const smallBlip = (): BlipConfig => {
  const config = preset("blip", "vit-s-16", { vocab_size: 30_524 }) as BlipConfig
  return { ...config, text_config: { ...config.text_config, num_hidden_layers: 6 } }
}

const vocab_size = 4096

/** CLIP's start and end of a text; it has no roles of a text. */
const clipIds: TokenIds = { cls: 49406, sep: 49407, enc: 49406, dec: 49406 }

export const trainModels = {
  "clip-tiny": () => clip("clip-tiny", 64, 32, modelFromConfig(preset("clip", "tiny", { vocab_size })), ownIds),
  "clip-small": () => clip("clip-small", 16, 77, modelFromConfig(preset("clip", "vit-s-16")), clipIds),
  "blip-tiny": () =>
    blip("blip-tiny", 32, 32, modelFromConfig(preset("blip", "tiny", { vocab_size })) as BlipModel, ownIds),
  "blip-small": () => blip("blip-small", 8, 30, modelFromConfig(smallBlip()) as BlipModel, ownIds),
  "clip-nano": () => clip("clip-nano", 4, 16, modelFromConfig(preset("clip", "nano", { vocab_size: 512 })), ownIds),
  "blip-nano": () =>
    blip("blip-nano", 4, 16, modelFromConfig(preset("blip", "nano", { vocab_size: 512 })) as BlipModel, ownIds)
} satisfies Readonly<Record<string, () => TrainModel>>

export type TrainModelName = keyof typeof trainModels
