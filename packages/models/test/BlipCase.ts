/** Loads a BLIP parity case: its model, and its weights under the model's names. */
import type { BlipConfig } from "../src/Config.ts"
import { fromHuggingFace } from "../src/HuggingFaceNames.ts"
import type { BlipModel, TokenTensors } from "../src/Model.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import type { Named } from "./AdamW.ts"
import { readJson, toTensor, type Stored } from "./Safetensors.ts"

export const blipFrom = (config: unknown): BlipModel => {
  const model = modelFromConfig(config)
  if (model.architecture !== "blip") throw new Error(`expected a BLIP config, got ${model.architecture}`)
  return model
}

export const blipOf = (name: string): BlipModel => blipFrom(readJson(`${name}/config.json`))

/** [DEC] and [SEP], as the model's config has them. */
export const tokenIdsOf = (model: BlipModel): { readonly dec: number; readonly sep: number } => {
  const { text_config } = model.config as BlipConfig
  return { dec: text_config.bos_token_id, sep: text_config.sep_token_id }
}

/** The model's initial weights: what a checkpoint without some heads leaves in place. */
export const initialWeights = (model: BlipModel): Named =>
  Object.fromEntries(
    Object.entries(model.init(1)).map(([name, data]) => [name, toTensor({ shape: model.shapes[name]!, data })])
  )

export const namedWeights = (model: BlipModel, stored: Record<string, Stored>): Named =>
  Object.fromEntries(
    Object.entries(fromHuggingFace(model, Object.keys(stored)).names).map(([ours, theirs]) => [
      ours,
      toTensor(stored[theirs]!)
    ])
  )

export const textOf = (expected: Record<string, Stored>, ids = "input_ids"): TokenTensors => ({
  input_ids: toTensor(expected[ids]!),
  attention_mask: toTensor(expected["attention_mask"]!)
})

/** The same rows with another first token, e.g. [ENC] for [CLS]. */
export const startingWith = (token_id: number, text: TokenTensors): TokenTensors => {
  const ids = Int32Array.from(text.input_ids.dataSync())
  const width = text.input_ids.shape[1]!
  for (let start = 0; start < ids.length; start += width) ids[start] = token_id
  return { ...text, input_ids: toTensor({ shape: text.input_ids.shape, data: ids }) }
}
