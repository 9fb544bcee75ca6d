/**
 * CLIP, of transformers or of open_clip, and SigLIP: embeddings, hidden states and similarities of given pixels and ids; the
 * loss; three AdamW steps; the zero-shot classifier.
 */
import type { HostTensor, HostTensors, LoadedModel, Program, TrainingProgram } from "@bootlace/engine"
import { clipOptimizer, contrastive, l2Normalize, sigmoidContrastive, siglipOptimizer } from "@bootlace/models"
import type { Model, Tokenizer, Weights } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { close, closeNumber, closeWhere, gradient, trained } from "./Check.ts"
import type { Check } from "./Check.ts"
import { readJson, readTensors } from "./Stored.ts"
import { join } from "node:path"

const programOf = (name: string, model: Model, run: Program["run"]): Program => ({
  name,
  weights: Object.keys(model.shapes),
  run
})

/** The loss that the model is trained by: SigLIP's where its similarities have a bias. */
const lossOf = (model: Model, weights: Weights, embeds: Record<"image_embeds" | "text_embeds", tf.Tensor>) => {
  const at = { ...embeds, scale: model.similarityScale(weights) }
  const bias = model.similarityBias?.(weights)
  return bias === undefined ? contrastive(at) : sigmoidContrastive({ ...at, bias })
}

/** Everything that a case may hold, under transformers' names. */
const forward = (model: Model): Program["run"] => {
  const numbered = (name: string, states: ReadonlyArray<tf.Tensor>) =>
    Object.fromEntries(states.map((state, layer) => [`${name}_${layer}`, state]))
  return (weights, { pixels, input_ids, attention_mask }) => {
    const text = { input_ids: input_ids!, attention_mask: attention_mask! }
    const vision = model.imageStates(weights, pixels!)
    const words = model.textStates(weights, text)
    const image_raw = model.encodeImage(weights, pixels!).image_embeds
    const text_raw = model.encodeText(weights, text)
    const [image_embeds, text_embeds] = [l2Normalize(image_raw), l2Normalize(text_raw)]
    const scale = model.similarityScale(weights)
    const scaled: tf.Tensor = tf.mul(tf.matMul(image_embeds, text_embeds, false, true), scale)
    const logits: tf.Tensor =
      model.similarityBias === undefined ? scaled : tf.add(scaled, model.similarityBias(weights))
    // A loss needs as many texts as images.
    const isSquare = logits.shape[0] === logits.shape[1]
    return {
      image_embeds_raw: image_raw,
      text_embeds_raw: text_raw,
      image_embeds,
      text_embeds,
      logits_per_image: logits,
      logits_per_text: tf.transpose(logits),
      ...(isSquare ? { loss: lossOf(model, weights, { image_embeds, text_embeds }).itc_loss } : {}),
      probs_per_image: model.architecture === "siglip" ? tf.sigmoid(logits) : tf.softmax(logits, -1),
      logit_scale: scale,
      vision_pooler: vision.pooled,
      text_pooler: words.pooled,
      vision_last_hidden: vision.last,
      text_last_hidden: words.last,
      ...numbered("vision_hidden", vision.hidden),
      ...numbered("text_hidden", words.hidden)
    }
  }
}

/** open_clip's names, and transformers' for what is the same thing twice. */
const alias: Readonly<Record<string, string>> = {
  image_features_raw: "image_embeds_raw",
  text_features_raw: "text_embeds_raw",
  image_features: "image_embeds",
  text_features: "text_embeds",
  logits_per_image_without_attention_mask: "logits_per_image"
}

const toleranceOf = (name: string): number => (name.startsWith("logits_per") ? 1e-3 : 1e-4)

/** Hidden states of texts are compared where the text is; the mask of transformers changes what stands behind it. */
const isPerToken = (name: string): boolean => /^text_(hidden|last_hidden)/.test(name)

const ones = (ids: HostTensor): HostTensor => ({ ...ids, data: new Int32Array(ids.data.length).fill(1) })

export const clipForwardChecks = Effect.fnUntraced(function* (
  model: Model,
  loaded: LoadedModel,
  expected: HostTensors
) {
  const pixels = expected["pixel_values_pil"] ?? expected["pixel_values"]
  const input_ids = expected["input_ids"] ?? expected["tokens"]
  if (pixels === undefined || input_ids === undefined) return []
  const attention_mask = expected["attention_mask"] ?? ones(input_ids)
  const outputs = yield* loaded.run(programOf("CLIP", model, forward(model)), { pixels, input_ids, attention_mask })
  return Object.entries(expected).flatMap(([name, wanted]): ReadonlyArray<Check> => {
    const actual = outputs[alias[name] ?? name]
    if (actual === undefined) return []
    if (!isPerToken(name)) return [close(name, actual, wanted, toleranceOf(name))]
    const rows = wanted.shape[0]! * wanted.shape[1]!
    const mask = { ...attention_mask, data: attention_mask.data.slice(0, rows) }
    return [closeWhere(name, actual, wanted, mask, 1e-4)]
  })
})

interface Recipe {
  readonly lr: number
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly weight_decay: number
  readonly losses: ReadonlyArray<number>
  readonly logit_scale_after?: ReadonlyArray<number>
  readonly logit_bias_after?: ReadonlyArray<number>
}

const trainingProgram = (model: Model): TrainingProgram => ({
  name: `${model.architecture} training`,
  weights: Object.keys(model.shapes),
  twin: [],
  state: {},
  run: ({ weights, inputs }) => {
    const { pixels, input_ids, attention_mask } = inputs
    const { itc_loss, similarity_i2t } = lossOf(model, weights, {
      image_embeds: model.encodeImage(weights, pixels!).image_embeds,
      text_embeds: model.encodeText(weights, { input_ids: input_ids!, attention_mask: attention_mask! })
    })
    return { losses: { itc_loss }, outputs: { logits: similarity_i2t } }
  }
})

export const clipTrainingChecks = Effect.fnUntraced(function* (model: Model, loaded: LoadedModel, folder: string) {
  const recipe = readJson<Recipe>(folder, "expected_train.json")
  const expected = yield* readTensors(join(folder, "expected_train.safetensors"))
  if (recipe === undefined || expected === undefined) return []
  const inputs = {
    pixels: expected["pixel_values"]!,
    input_ids: expected["input_ids"]!,
    attention_mask: expected["attention_mask"] ?? ones(expected["input_ids"]!)
  }
  const { lr, betas, eps, weight_decay, losses } = recipe
  const { decays } = model.architecture === "siglip" ? siglipOptimizer : clipOptimizer
  const optimizer = { betas, eps, weight_decay, decays, clamp: model.clamp }
  const trainer = yield* loaded.train(trainingProgram(model), optimizer, { _tag: "Fresh", state: {} })
  const first = yield* trainer.gradients(inputs)
  const checks: Array<Check> = [
    close("logits at step 0", first.outputs["logits"]!, expected["logits_per_image0"]!, 1e-3)
  ]
  for (const [key, wanted] of Object.entries(expected))
    if (key.startsWith("grad0.")) checks.push(gradient(key, first.gradients[key.slice(6)]!, wanted))
  for (const [step, wanted] of losses.entries()) {
    const { total, grad_norm } = yield* trainer.step(inputs, lr)
    checks.push(closeNumber(`loss of step ${step}`, total, wanted, step === 0 ? 1e-4 : 1e-3))
    const norm = expected[`grad_norm${step}`]?.data[0]
    if (norm !== undefined) checks.push(closeNumber(`gradient norm of step ${step}`, grad_norm / norm, 1, 1e-3))
    const after = (yield* trainer.snapshot).weights
    const scalar = (name: "logit_scale" | "logit_bias", values: ReadonlyArray<number> | undefined): void => {
      const value = values?.[step]
      if (value !== undefined)
        checks.push(closeNumber(`${name} after step ${step}`, after[name]!.data[0]!, value, 2e-5))
    }
    scalar("logit_scale", recipe.logit_scale_after)
    scalar("logit_bias", recipe.logit_bias_after)
  }
  const { weights } = yield* trainer.snapshot
  for (const [key, wanted] of Object.entries(expected))
    if (key.startsWith("param3.")) checks.push(...trained(key, weights[key.slice(7)]!, wanted, lr))
  return checks
}, Effect.scoped)

interface ZeroShot {
  readonly classes: ReadonlyArray<string>
  readonly templates: ReadonlyArray<string>
}

/** Class embeddings: the mean of the templates' unit embeddings, scaled to unit length again; [E, classes]. */
const classifier =
  (model: Model, num_classes: number): Program["run"] =>
  (weights, { input_ids, attention_mask, image_features }) => {
    const embeds = l2Normalize(model.encodeText(weights, { input_ids: input_ids!, attention_mask: attention_mask! }))
    const grouped = tf.reshape(embeds, [num_classes, -1, embeds.shape[1]!])
    const classes = l2Normalize(tf.mean(grouped, 1))
    const logits: tf.Tensor = tf.mul(tf.matMul(image_features!, classes, false, true), 100)
    return { classifier: tf.transpose(classes), logits }
  }

export const zeroShotChecks = Effect.fnUntraced(function* (
  model: Model,
  loaded: LoadedModel,
  tokenizer: Tokenizer,
  folder: string
) {
  const settings = readJson<ZeroShot>(folder, "zeroshot.json")
  const expected = yield* readTensors(join(folder, "expected_zeroshot.safetensors"))
  const images = yield* readTensors(join(folder, "expected_forward.safetensors"))
  const image_features = images?.["image_features"] ?? images?.["image_embeds"]
  if (settings === undefined || expected === undefined || image_features === undefined) return []
  const { classes, templates } = settings
  const T = model.max_text_length
  const texts = classes.flatMap((name) => templates.map((template) => template.replaceAll("{}", name)))
  const data = new Int32Array(texts.length * T).fill(tokenizer.pad)
  texts.forEach((text, row) => data.set(tokenizer.encode(text, T), row * T))
  const input_ids: HostTensor = { shape: [texts.length, T], dtype: "int32", data }
  const outputs = yield* loaded.run(programOf("zero-shot", model, classifier(model, classes.length)), {
    input_ids,
    attention_mask: ones(input_ids),
    image_features
  })
  return [
    close("zero-shot classifier", outputs["classifier"]!, expected["classifier"]!, 1e-4),
    close("zero-shot logits", outputs["logits"]!, expected["logits"]!, 1e-3)
  ]
})
