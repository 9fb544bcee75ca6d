/**
 * A model's programs as ONNX files with the weights inside, under transformers.js' names; batch and text length are free.
 *
 *   file               inputs                                             outputs
 *   vision_model.onnx  pixel_values [B, 3, S, S]                          image_embeds [B, E]; BLIP also image_tokens [B, N, D]
 *   text_model.onnx    input_ids, attention_mask [B, T]                   text_embeds [B, E]
 *   model.onnx         all three, images and texts of their own batches   logits_per_image, logits_per_text, image_embeds,
 *                                                                         text_embeds of unit length (CLIP, SigLIP)
 *   match_model.onnx   input_ids ([ENC] first), attention_mask, image_tokens   itm_score [B, 2] (BLIP)
 *   decoder_model.onnx input_ids ([DEC] first), attention_mask, image_tokens   logits [B, T, V] (BLIP)
 *
 * SigLIP's texts have one length and no mask. Embeddings of the single towers aren't normalised, as transformers gives them.
 */
import { Files, writeFile } from "@bootlace/data"
import { lowerFree } from "@bootlace/engine"
import type { FreeInput, FreeProgram, HostTensors, Tensors } from "@bootlace/engine"
import { l2Normalize } from "@bootlace/models"
import type { BlipModel, Model, TokenTensors } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { attemptCheckpoint } from "./CheckpointError.ts"
import type { ExportedModel } from "./ExportCheckpoint.ts"

type Portable = Pick<FreeProgram, "inputs" | "run">

const pixels = ({ preprocess: { image_size } }: Model, batch: string): Readonly<Record<string, FreeInput>> => ({
  pixel_values: { dtype: "float32", shape: [batch, 3, image_size, image_size] }
})

const texts = (model: Model, batch: string): Readonly<Record<string, FreeInput>> => {
  const full = model.text_padding === "full"
  const input: FreeInput = { dtype: "int64", shape: [batch, full ? model.max_text_length : "sequence_length"] }
  return full ? { input_ids: input } : { input_ids: input, attention_mask: input }
}

const tokens = ({ input_ids, attention_mask }: Tensors): TokenTensors => ({
  input_ids: input_ids!,
  attention_mask: attention_mask ?? tf.onesLike(input_ids!)
})

const visionModel = (model: Model): Portable => ({
  inputs: pixels(model, "batch_size"),
  run: (weights, { pixel_values }) => {
    const { image_embeds, image_tokens } = model.encodeImage(weights, pixel_values!)
    return model.architecture === "blip" ? { image_embeds, image_tokens } : { image_embeds }
  }
})

const textModel = (model: Model): Portable => ({
  inputs: texts(model, "batch_size"),
  run: (weights, inputs) => ({ text_embeds: model.encodeText(weights, tokens(inputs)) })
})

const wholeModel = (model: Model): Portable => ({
  inputs: { ...texts(model, "text_batch_size"), ...pixels(model, "image_batch_size") },
  run: (weights, inputs) => {
    const image_embeds = l2Normalize(model.encodeImage(weights, inputs["pixel_values"]!).image_embeds)
    const text_embeds = l2Normalize(model.encodeText(weights, tokens(inputs)))
    const scaled = tf.mul(tf.matMul(image_embeds, text_embeds, false, true), model.similarityScale(weights))
    const bias = model.similarityBias?.(weights)
    const logits_per_image = bias === undefined ? scaled : tf.add(scaled, bias)
    return { logits_per_image, logits_per_text: tf.transpose(logits_per_image), image_embeds, text_embeds }
  }
})

const grounded = (
  model: BlipModel,
  run: (weights: Tensors, image: tf.Tensor, text: TokenTensors) => Tensors
): Portable => ({
  inputs: {
    ...texts(model, "batch_size"),
    image_tokens: { dtype: "float32", shape: ["batch_size", ...model.image_tokens] }
  },
  run: (weights, inputs) => run(weights, inputs["image_tokens"]!, tokens(inputs))
})

const portables = (model: Model): Readonly<Record<string, Portable>> => {
  const towers = { vision_model: visionModel(model), text_model: textModel(model) }
  if (model.architecture !== "blip") return { model: wholeModel(model), ...towers }
  return {
    ...towers,
    match_model: grounded(model, (weights, image, text) => ({ itm_score: model.matchLogits(weights, image, text) })),
    decoder_model: grounded(model, (weights, image, text) => ({ logits: model.decodeLogits(weights, image, text) }))
  }
}

/** ONNX bytes by file name. Throws where a program can't be given free sizes. */
export const onnxModels = (model: Model, weights: HostTensors): Readonly<Record<string, Uint8Array>> =>
  Object.fromEntries(
    Object.entries(portables(model)).map(([name, { inputs, run }]) => {
      const largest = { sequence_length: model.max_text_length }
      return [`${name}.onnx`, lowerFree({ name, weights, inputs, largest, run })]
    })
  )

/** Adds `onnx/` to a folder that exportHuggingFace made. */
export const exportOnnx = Effect.fnUntraced(function* ({ model, weights }: ExportedModel, folder: string) {
  const files = yield* Files
  const models = yield* attemptCheckpoint(folder, () => onnxModels(model, weights))
  yield* files.makeFolder(join(folder, "onnx"))
  for (const [name, bytes] of Object.entries(models)) yield* writeFile(join(folder, "onnx", name), [bytes])
})
