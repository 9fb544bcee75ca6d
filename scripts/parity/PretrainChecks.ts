/**
 * BLIP's pre-training: ITC with momentum twin and queue, ITM on given hard negatives, LM; three AdamW steps.
 *
 * The case stores queues as [E, Q]; here they are [Q, E]. Its twin begins as 0.9 times the weights. What a case lacks of initial
 * tensors it inherits from the case beside it that has them.
 */
import type { HostTensor, HostTensors, LoadedModel, Tensors, Trainer, TrainingProgram } from "@bootlace/engine"
import {
  blipOptimizer,
  l2Normalize,
  languageModeling,
  matching,
  modelFromConfig,
  momentumContrastive,
  negativeWeights
} from "@bootlace/models"
import type { BlipModel, TokenTensors } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { close, closeNumber, closeWhere, failed, gradient, same, trained } from "./Check.ts"
import type { Check } from "./Check.ts"
import { ourNames } from "./Names.ts"

export interface Recipe {
  readonly text_config: object
  readonly vision_config: object
  readonly embed_dim: number
  readonly queue_size: number
  readonly momentum: number
  readonly alpha: number
  readonly enc_token_id: number
  readonly dec_token_id: number
  readonly tied_lm_head: boolean
  readonly label_smoothing?: number
  readonly optimizer: {
    readonly lr: number
    readonly betas: readonly [number, number]
    readonly eps: number
    readonly weight_decay: number
  }
  readonly steps: ReadonlyArray<{
    readonly loss_ita: number
    readonly loss_itm: number
    readonly loss_lm: number
    readonly total: number
    readonly temp: number
  }>
}

/** The published code's smoothing; the text config says it too. */
const smoothingOf = ({ text_config }: Recipe): number =>
  (text_config as { readonly label_smoothing?: number }).label_smoothing ?? 0.1

export const pretrainingModel = (recipe: Recipe): BlipModel =>
  modelFromConfig({
    model_type: "blip",
    image_text_hidden_size: recipe.embed_dim,
    tie_word_embeddings: recipe.tied_lm_head,
    vision_config: recipe.vision_config,
    text_config: recipe.text_config
  }) as BlipModel

const startingWith = (id: number, { input_ids, attention_mask }: TokenTensors): TokenTensors => {
  const first = tf.fill([input_ids.shape[0]!, 1], id, "int32")
  return { input_ids: tf.concat([first, tf.slice(input_ids, [0, 1], [-1, -1])], 1), attention_mask }
}

type LossName = "ita" | "itm" | "lm"
const everyLoss: ReadonlyArray<LossName> = ["ita", "itm", "lm"]

const program = (model: BlipModel, recipe: Recipe, wanted: ReadonlyArray<LossName>): TrainingProgram => ({
  name: `pre-training ${wanted.join()}`,
  weights: Object.keys(model.shapes),
  twin: model.encoderWeights,
  state: {
    image_queue: { shape: [recipe.queue_size, recipe.embed_dim], dtype: "float32" },
    text_queue: { shape: [recipe.queue_size, recipe.embed_dim], dtype: "float32" }
  },
  run: ({ weights, twin, state, inputs }) => {
    const pixels = inputs["pixels"]!
    const text: TokenTensors = { input_ids: inputs["input_ids"]!, attention_mask: inputs["attention_mask"]! }
    const online = model.encodeImage(weights, pixels)
    const text_embeds = model.encodeText(weights, text)
    const itc = momentumContrastive({
      image_embeds: online.image_embeds,
      text_embeds,
      twin_image_embeds: model.encodeImage(twin, pixels).image_embeds,
      twin_text_embeds: model.encodeText(twin, text),
      image_queue: state["image_queue"]!,
      text_queue: state["text_queue"]!,
      scale: model.similarityScale(weights),
      alpha: tf.scalar(recipe.alpha)
    })
    const itm = matching(model, weights, online.image_tokens, startingWith(recipe.enc_token_id, text), {
      image_indices: inputs["image_indices"]!,
      text_indices: inputs["text_indices"]!
    })
    const decoded = startingWith(recipe.dec_token_id, text)
    const logits = model.decodeLogits(weights, online.image_tokens, decoded)
    const label_smoothing = smoothingOf(recipe)
    const { input_ids, attention_mask: target_mask } = decoded
    const lm = languageModeling({ logits, input_ids, target_mask, label_smoothing })
    const losses = { ita: itc.itc_loss, itm: itm.itm_loss, lm: lm.lm_loss }
    const outputs: Tensors = {
      image_feat: l2Normalize(online.image_embeds),
      text_feat: l2Normalize(text_embeds),
      image_feat_m: itc.enqueue_image,
      text_feat_m: itc.enqueue_text,
      sim_i2t: itc.candidates_i2t,
      sim_t2i: itc.candidates_t2i,
      targets_i2t: itc.targets_i2t,
      targets_t2i: itc.targets_t2i,
      weights_i2t: negativeWeights(itc.similarity_i2t),
      weights_t2i: negativeWeights(itc.similarity_t2i),
      itm_logits: itm.match_logits,
      lm_logits: logits
    }
    return { losses: Object.fromEntries(wanted.map((name) => [name, losses[name]])), outputs }
  }
})

const transposed = ({ shape, data }: HostTensor): HostTensor => {
  const [rows, columns] = shape as [number, number]
  const turned = Float32Array.from(data, (_, i) => data[(i % rows) * columns + Math.floor(i / rows)]!)
  return { shape: [columns, rows], dtype: "float32", data: turned }
}

const stepInputs = (expected: HostTensors, step: number): HostTensors => ({
  pixels: expected["pixel_values"]!,
  input_ids: expected["input_ids"]!,
  attention_mask: expected["attention_mask"]!,
  image_indices: expected[`step${step}.neg_image_idx`]!,
  text_indices: expected[`step${step}.neg_text_idx`]!
})

const firstStep = (
  { outputs, gradients }: { readonly outputs: HostTensors; readonly gradients: HostTensors },
  expected: HostTensors,
  ours: ReadonlyMap<string, string>
): ReadonlyArray<Check> =>
  Object.entries(expected).flatMap(([key, wanted]): ReadonlyArray<Check> => {
    if (key.startsWith("grad0.")) {
      const name = ours.get(key.slice(6))
      return [name === undefined ? failed(key, "no such weight") : gradient(key, gradients[name]!, wanted)]
    }
    const actual = key.startsWith("step0.") ? outputs[key.slice(6)] : undefined
    if (actual === undefined) return []
    if (!key.endsWith("lm_logits")) return [close(key, actual, wanted, key.includes("sim_") ? 1e-3 : 1e-4)]
    const mask = expected["attention_mask"]!
    const rows = wanted.shape[0]! * wanted.shape[1]!
    return [closeWhere(key, actual, wanted, { ...mask, data: mask.data.slice(0, rows) }, 1e-4)]
  })

const enqueue = Effect.fnUntraced(function* (trainer: Trainer, outputs: HostTensors, at: number) {
  yield* trainer.enqueue("image_queue", at, outputs["image_feat_m"]!)
  yield* trainer.enqueue("text_queue", at, outputs["text_feat_m"]!)
})

const threeSteps = Effect.fnUntraced(function* (
  trainer: Trainer,
  recipe: Recipe,
  expected: HostTensors,
  initialPointer: number
) {
  const checks: Array<Check> = []
  let pointer = initialPointer
  for (const [step, wanted] of recipe.steps.entries()) {
    const tolerance = step === 0 ? 1e-4 : 1e-3
    const temp = (yield* trainer.snapshot).weights["temp"]!.data[0]!
    const { losses, total, outputs } = yield* trainer.step(stepInputs(expected, step), recipe.optimizer.lr)
    for (const name of everyLoss)
      checks.push(closeNumber(`loss_${name} of step ${step}`, losses[name]!, wanted[`loss_${name}`], tolerance))
    checks.push(
      closeNumber(`total loss of step ${step}`, total, wanted.total, 3 * tolerance),
      closeNumber(`temp at step ${step}`, temp, wanted.temp, 2e-5)
    )
    yield* enqueue(trainer, outputs, pointer)
    pointer = (pointer + outputs["image_feat_m"]!.shape[0]!) % recipe.queue_size
    const { state } = yield* trainer.snapshot
    for (const queue of ["image_queue", "text_queue"]) {
      const after = expected[`step${step}.${queue}_after`]
      if (after !== undefined) checks.push(close(`${queue} after step ${step}`, transposed(state[queue]!), after, 1e-4))
    }
  }
  return checks
})

const perLoss = Effect.fnUntraced(function* (
  model: BlipModel,
  recipe: Recipe,
  expected: HostTensors,
  ours: ReadonlyMap<string, string>,
  begin: (program: TrainingProgram) => ReturnType<LoadedModel["train"]>
) {
  const checks: Array<Check> = []
  for (const loss of everyLoss) {
    const keys = Object.keys(expected).filter((key) => key.startsWith(`grad0_${loss}.`))
    if (keys.length === 0) continue
    const trainer = yield* begin(program(model, recipe, [loss]))
    const { gradients } = yield* trainer.gradients(stepInputs(expected, 0))
    for (const key of keys) {
      const name = ours.get(key.slice(key.indexOf(".") + 1))
      checks.push(name === undefined ? failed(key, "no such weight") : gradient(key, gradients[name]!, expected[key]!))
    }
  }
  return checks
}, Effect.scoped)

export const pretrainingChecks = Effect.fnUntraced(function* (
  model: BlipModel,
  loaded: LoadedModel,
  recipe: Recipe,
  init: HostTensors,
  weights: HostTensors,
  expected: HostTensors
) {
  const ours = ourNames(model, Object.keys(init))
  const { betas, eps, weight_decay, lr } = recipe.optimizer
  const optimizer = {
    betas,
    eps,
    weight_decay,
    decays: blipOptimizer.decays,
    clamp: model.clamp,
    momentum: recipe.momentum
  }
  const scaled = ({ data, ...spec }: HostTensor): HostTensor => ({
    ...spec,
    data: Float32Array.from(data, (value) => value * Math.fround(0.9))
  })
  const twin = Object.fromEntries(model.encoderWeights.map((name) => [name, scaled(weights[name]!)]))
  const state = { image_queue: transposed(init["image_queue"]!), text_queue: transposed(init["text_queue"]!) }
  const begin = (of: TrainingProgram) => loaded.train(of, optimizer, { _tag: "Fresh", twin, state })
  const separate = yield* perLoss(model, recipe, expected, ours, begin)
  const trainer = yield* begin(program(model, recipe, everyLoss))
  const first = yield* trainer.gradients(stepInputs(expected, 0))
  const steps = yield* threeSteps(trainer, recipe, expected, init["queue_ptr"]?.data[0] ?? 0)
  const after = yield* trainer.snapshot
  const parameters = Object.entries(expected).flatMap(([key, wanted]): ReadonlyArray<Check> => {
    if (!key.startsWith("param3.")) return []
    const theirs = key.slice(7)
    const name = ours.get(theirs.replace("_m.", "."))
    if (name === undefined) return [failed(key, "no such weight")]
    return trained(key, (theirs.includes("_m.") ? after.twin : after.weights)[name]!, wanted, lr)
  })
  const labels = expected["step0.itm_labels"]?.data
  const B = expected["pixel_values"]!.shape[0]!
  const rows = Array.from(labels ?? [], (label, row) => ({ label, row }))
  const itmLabels = same("step0.itm_labels", rows, ({ label, row }) =>
    label === (row < B ? 1 : 0) ? undefined : `row ${row}`
  )
  return [...firstStep(first, expected, ours), ...(labels ? [itmLabels] : []), ...separate, ...steps, ...parameters]
}, Effect.scoped)
