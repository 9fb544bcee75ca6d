/**
 * BLIP's pre-training as one program: ITC with momentum twin and queue, ITM on given negatives, LM (Li et al. 2022, section 3.2).
 *
 *   pixel_values [B, 3, S, S]   input_ids, encoder_ids, decoder_ids, attention_mask [B, T]   neg_image_idx, neg_text_idx [B]   alpha []
 *
 * The ids are the same texts, the first token [CLS], [ENC] and [DEC].
 */
import type { TrainingProgram } from "@bootlace/engine"
import { languageModeling, matching, momentumContrastive } from "@bootlace/models"
import type { BlipModel } from "@bootlace/models"

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
