/**
 * Which tensor of a Hugging Face (or Salesforce-shaped) checkpoint is which of a model's weights.
 *
 * The names of CLIPModel and SiglipModel are the models' own. BLIP's classes disagree with each other, and MED's shared weights appear in a
 * checkpoint under the encoder, the decoder or both:
 *
 * | here | BlipForImageTextRetrieval | BlipForConditionalGeneration | BlipModel | a pre-training |
 * |---|---|---|---|---|
 * | vision_model | vision_model | vision_model | vision_model | visual_encoder |
 * | text_encoder (shared) | text_encoder | text_decoder.bert | text_model | text_encoder, text_decoder.bert |
 * | text_encoder (self-attention) | text_encoder | - | text_model | text_encoder |
 * | vision_proj, text_proj | same | - | visual_projection, text_projection | same |
 */
import type { Model } from "./Model.ts"

export interface NameMap {
  /** For each weight that the checkpoint has, the checkpoint's name of it. */
  readonly names: Readonly<Record<string, string>>
  /** Weights that the checkpoint lacks: they keep their initial values. */
  readonly missing: ReadonlyArray<string>
  /** Tensors that no weight is filled from. */
  readonly unused: ReadonlyArray<string>
}

const SELF_ATTENTION = /\.attention\./

/** A tied matrix or bias is stored once, under either of its names. */
const tiedNames: Readonly<Record<string, string>> = {
  "text_decoder.cls.predictions.bias": "text_decoder.cls.predictions.decoder.bias",
  "text_encoder.embeddings.word_embeddings.weight": "text_decoder.cls.predictions.decoder.weight"
}

/** Names under which a weight of BLIP may stand, the likeliest first. */
const blipCandidates = (name: string): ReadonlyArray<string> => {
  const tied = tiedNames[name]
  return tied === undefined ? plainCandidates(name) : [...plainCandidates(name), tied]
}

const plainCandidates = (name: string): ReadonlyArray<string> => {
  if (name.startsWith("vision_model.")) return [name, name.replace("vision_model.", "visual_encoder.")]
  if (name.startsWith("vision_proj.")) return [name, name.replace("vision_proj.", "visual_projection.")]
  if (name.startsWith("text_proj.")) return [name, name.replace("text_proj.", "text_projection.")]
  if (!name.startsWith("text_encoder.")) return [name]
  const rest = name.slice("text_encoder.".length)
  const ofEncoder = [name, `text_model.${rest}`]
  return SELF_ATTENTION.test(name) ? ofEncoder : [...ofEncoder, `text_decoder.bert.${rest}`]
}

/** Matches a checkpoint's tensor names with the model's weights. */
export const fromHuggingFace = (model: Model, checkpoint_names: Iterable<string>): NameMap => {
  const available = new Set(checkpoint_names)
  const names: Record<string, string> = {}
  const missing: Array<string> = []
  for (const name of Object.keys(model.shapes)) {
    const found = (model.architecture === "blip" ? blipCandidates(name) : [name]).find((each) => available.has(each))
    if (found === undefined) missing.push(name)
    else names[name] = found
  }
  const used = new Set(Object.values(names))
  return { names, missing, unused: [...available].filter((name) => !used.has(name)) }
}
