/**
 * BLIP's three classes of transformers: embeddings, ITC scores, match logits with [CLS] and [ENC]; BlipModel's similarities;
 * the decoder's logits, losses, log-probabilities and gradients.
 */
import type { HostTensor, HostTensors, LoadedModel, Program, Specs, TrainingProgram } from "@bootlace/engine"
import { blipOptimizer, contrastive, l2Normalize, languageModeling, tokenLogLikelihoods } from "@bootlace/models"
import type { BlipModel, TokenTensors } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { close, closeWhere, failed, gradient } from "./Check.ts"
import type { Check } from "./Check.ts"
import { ourNames } from "./Names.ts"
import { readTensors } from "./Stored.ts"
import { join } from "node:path"

const programOf = (name: string, model: BlipModel, run: Program["run"]): Program => ({
  name,
  weights: Object.keys(model.shapes),
  run
})

const rowsOf = (x: tf.Tensor, rows: ReadonlyArray<number>): tf.Tensor =>
  tf.reshape(tf.gather(tf.reshape(x, [x.shape[0]!, -1]), tf.tensor1d([...rows], "int32")), [
    rows.length,
    ...x.shape.slice(1)
  ])

/** Match logits of every image with every text, [B, B, 2], images first. */
const allPairs = (model: BlipModel, weights: tf.NamedTensorMap, image_tokens: tf.Tensor, text: TokenTensors) => {
  const B = image_tokens.shape[0]!
  const pairs = Array.from({ length: B * B }, (_, i) => i)
  const images = rowsOf(
    image_tokens,
    pairs.map((i) => Math.floor(i / B))
  )
  const texts = pairs.map((i) => i % B)
  const logits = model.matchLogits(weights, images, {
    input_ids: rowsOf(text.input_ids, texts),
    attention_mask: rowsOf(text.attention_mask, texts)
  })
  return tf.reshape(logits, [B, B, 2])
}

const forward =
  (model: BlipModel): Program["run"] =>
  (weights, { pixels, input_ids, input_ids_enc, attention_mask }) => {
    const text = { input_ids: input_ids!, attention_mask: attention_mask! }
    const vision = model.imageStates(weights, pixels!)
    const words = model.textStates(weights, text)
    const image_raw = model.encodeImage(weights, pixels!).image_embeds
    const text_raw = model.encodeText(weights, text)
    const [image, words_unit] = [l2Normalize(image_raw), l2Normalize(text_raw)]
    const scale = model.similarityScale(weights)
    const cosines = tf.matMul(image, words_unit, false, true)
    const enc = { input_ids: input_ids_enc!, attention_mask: attention_mask! }
    const logits: tf.Tensor = tf.mul(cosines, scale)
    return {
      image_embeds_raw: image_raw,
      text_embeds_raw: text_raw,
      image_feat: image,
      text_feat: words_unit,
      image_embeds: image,
      text_embeds: words_unit,
      itc_score: cosines,
      logits_per_image: logits,
      logits_per_text: tf.transpose(logits),
      loss: contrastive({ image_embeds: image_raw, text_embeds: text_raw, scale }).itc_loss,
      itm_logits_cls: model.matchLogits(weights, vision.last, text),
      itm_logits_enc: model.matchLogits(weights, vision.last, enc),
      itm_logits_all_pairs_enc: allPairs(model, weights as tf.NamedTensorMap, vision.last, enc),
      vision_last_hidden: vision.last,
      text_last_hidden: words.last,
      ...Object.fromEntries(vision.hidden.map((state, layer) => [`vision_hidden_${layer}`, state])),
      ...Object.fromEntries(words.hidden.map((state, layer) => [`text_hidden_${layer}`, state]))
    }
  }

export const blipForwardChecks = Effect.fnUntraced(function* (
  model: BlipModel,
  loaded: LoadedModel,
  expected: HostTensors
) {
  const { pixel_values: pixels, input_ids, attention_mask } = expected
  if (pixels === undefined || input_ids === undefined || attention_mask === undefined) return []
  const input_ids_enc = expected["input_ids_enc"] ?? input_ids
  const inputs = { pixels, input_ids, attention_mask, input_ids_enc }
  const outputs = yield* loaded.run(programOf("BLIP", model, forward(model)), inputs)
  return Object.entries(expected).flatMap(([name, wanted]): ReadonlyArray<Check> => {
    const actual = outputs[name]
    return actual === undefined ? [] : [close(name, actual, wanted, name.startsWith("logits_per") ? 1e-3 : 1e-4)]
  })
})

/** 1 where a label counts; transformers writes -100 where it doesn't. */
const maskOf = ({ shape, data }: HostTensor): HostTensor => ({
  shape,
  dtype: "int32",
  data: Int32Array.from(data, (id) => (id === -100 ? 0 : 1))
})

const decoderLoss = (model: BlipModel, label_smoothing: number): TrainingProgram => ({
  name: `language modelling, smoothing ${label_smoothing}`,
  weights: Object.keys(model.shapes),
  twin: [],
  state: {} as Specs,
  run: ({ weights, inputs }) => {
    const { pixels, input_ids, attention_mask, target_mask } = inputs
    const { image_tokens } = model.encodeImage(weights, pixels!)
    const text = { input_ids: input_ids!, attention_mask: attention_mask! }
    const logits = model.decodeLogits(weights, image_tokens, text)
    const scored = { logits, input_ids: input_ids!, target_mask: target_mask! }
    return {
      losses: { lm_loss: languageModeling({ ...scored, label_smoothing }).lm_loss },
      outputs: { logits, token_logprobs: tokenLogLikelihoods(scored) }
    }
  }
})

interface Loss {
  readonly name: string
  readonly labels: string
  readonly smoothing: number
}

/** `loss_ls01` has smoothing 0.1; `loss_prompt_masked_ls01` leaves the prompt out. */
const lossesIn = (expected: HostTensors): ReadonlyArray<Loss> =>
  Object.keys(expected).flatMap((name) => {
    const parts = /^loss(?:_(.+))?_ls(\d)(\d+)$/.exec(name)
    if (parts === null) return []
    const [, masked, whole, fraction] = parts
    return [
      { name, labels: masked === undefined ? "labels" : `labels_${masked}`, smoothing: Number(`${whole}.${fraction}`) }
    ]
  })

export const blipDecoderChecks = Effect.fnUntraced(function* (model: BlipModel, loaded: LoadedModel, folder: string) {
  const expected = yield* readTensors(join(folder, "expected_lm.safetensors"))
  if (expected === undefined) return []
  const { pixel_values, input_ids, attention_mask } = expected
  const checks: Array<Check> = []
  const at = Effect.fnUntraced(function* (labels: string, smoothing: number) {
    const optimizer = { ...blipOptimizer, clamp: model.clamp }
    const trainer = yield* loaded.train(decoderLoss(model, smoothing), optimizer, { _tag: "Fresh", state: {} })
    return yield* trainer.gradients({
      pixels: pixel_values!,
      input_ids: input_ids!,
      attention_mask: attention_mask!,
      target_mask: maskOf(expected[labels]!)
    })
  })
  const losses = lossesIn(expected)
  for (const { name, labels, smoothing } of losses) {
    const { losses: computed } = yield* at(labels, smoothing)
    const value = Float32Array.of(computed["lm_loss"]!)
    checks.push(close(name, { shape: [], dtype: "float32", data: value }, expected[name]!, 1e-4))
  }
  // The gradients are those of the loss with the most smoothing over all labels: how BLIP trains.
  const trainedOn = losses.filter(({ labels }) => labels === "labels").toSorted((a, b) => b.smoothing - a.smoothing)[0]
  if (trainedOn === undefined) return checks
  const { outputs, gradients } = yield* at("labels", trainedOn.smoothing)
  const { logits, token_logprobs } = expected
  if (logits !== undefined) checks.push(closeWhere("logits", outputs["logits"]!, logits, attention_mask!, 1e-4))
  if (token_logprobs !== undefined) {
    const width = attention_mask!.shape[1]!
    const next = { ...attention_mask!, data: attention_mask!.data.filter((_, i) => i % width !== 0) }
    checks.push(closeWhere("token_logprobs", outputs["token_logprobs"]!, token_logprobs, next, 1e-4))
  }
  const ours = ourNames(
    model,
    Object.keys(expected).map((key) => key.replace(/^grad\./, ""))
  )
  for (const [key, wanted] of Object.entries(expected)) {
    if (!key.startsWith("grad.")) continue
    const name = ours.get(key.slice(5))
    checks.push(name === undefined ? failed(key, "no such weight") : gradient(key, gradients[name]!, wanted))
  }
  return checks
}, Effect.scoped)
