/**
 * Test support: BLIP's pre-training as one program, and random rows for it: ITC with momentum twin and queue, ITM on given negatives, LM (Li et al. 2022, section 3.2).
 *
 *   pixel_values [B, 3, S, S]   input_ids, encoder_ids, decoder_ids, attention_mask [B, T]   neg_image_idx, neg_text_idx [B]   alpha []
 *
 * The ids are the same texts, the first token [CLS], [ENC] and [DEC].
 */
import type { HostTensor, HostTensors, TrainingProgram } from "@bootlace/engine"
import { languageModeling, matching, momentumContrastive } from "@bootlace/models"
import type { BlipModel } from "@bootlace/models"
import { float32, int32, numbersFrom } from "../../packages/engine/test/CompareExecutors.ts"

export const blipPretraining = (name: string, model: BlipModel, queue_size: number): TrainingProgram => ({
  name,
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

export const startingWith = (token: number, ids: HostTensor): HostTensor => {
  const width = ids.shape[1]!
  return { ...ids, data: Int32Array.from(ids.data, (id, index) => (index % width === 0 ? token : id)) }
}

/** Rows of a vocabulary of 61, from [CLS] 2, [ENC] 4 and [DEC] 5; texts of 2 tokens up to T. */
export function rowsOf({ preprocess }: BlipModel, B: number, T: number): HostTensors {
  const next = numbersFrom(B)
  const ids = int32([B, T], next, 6, 61)
  const length = (row: number) => 2 + ((row * 2) % (T - 1))
  const mask = Int32Array.from({ length: B * T }, (_, index) => Number(index % T < length(Math.floor(index / T))))
  return {
    pixel_values: float32([B, 3, preprocess.image_size, preprocess.image_size], next),
    input_ids: startingWith(2, ids),
    encoder_ids: startingWith(4, ids),
    decoder_ids: startingWith(5, ids),
    attention_mask: { ...ids, data: mask },
    neg_image_idx: { shape: [B], dtype: "int32", data: Int32Array.from({ length: B }, () => 0).fill(1, 0, 1) },
    neg_text_idx: { shape: [B], dtype: "int32", data: Int32Array.from({ length: B }, (_, row) => (row + 1) % B) },
    alpha: { shape: [], dtype: "float32", data: Float32Array.of(0.3) }
  }
}

export function queues({ embed_dim }: BlipModel, queue_size: number): HostTensors {
  const next = numbersFrom(99)
  const shape = [queue_size, embed_dim]
  return { image_queue: float32(shape, next, -0.5, 0.5), text_queue: float32(shape, next, -0.5, 0.5) }
}
