/**
 * Names of weights, as far as an architecture fixes them at any size: what a config that names some is checked against before a model is
 * there. A test holds them against the models of all presets.
 */
import type { Model } from "@bootlace/models"

/** By the first part of a weight's name, in CLIP, BLIP and SigLIP. */
export const towers: Readonly<Record<string, ReadonlyArray<string>>> = {
  image: ["vision_model", "visual_projection", "vision_proj"],
  text: ["text_model", "text_projection", "text_encoder", "text_proj"]
}

/** How names begin, and how those of linear layers end. */
interface WeightNames {
  readonly starts: ReadonlyArray<string>
  readonly ends: ReadonlyArray<string>
}

const clipLayers = ["q_proj", "k_proj", "v_proj", "out_proj", "fc1", "fc2"]
const bertLayers = ["query", "key", "value", "dense"]

export const weightNames: Readonly<Record<Model["architecture"], WeightNames>> = {
  clip: {
    starts: ["logit_scale", "vision_model", "text_model", "visual_projection", "text_projection"],
    ends: [...clipLayers, "visual_projection", "text_projection", ...bertLayers]
  },
  blip: {
    starts: ["vision_model", "text_encoder", "text_decoder", "vision_proj", "text_proj", "temp", "itm_head"],
    ends: ["qkv", "projection", "fc1", "fc2", ...bertLayers, "vision_proj", "text_proj", "itm_head"]
  },
  siglip: {
    starts: ["logit_scale", "logit_bias", "vision_model", "text_model"],
    ends: [...clipLayers, "head"]
  }
}
