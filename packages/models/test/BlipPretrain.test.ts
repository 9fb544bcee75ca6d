/**
 * BLIP's three losses together, for three steps: twin, queue that wraps, given negatives, AdamW (Li et al. 2022, 3.2).
 * The order of a step is that of expected_train.json: clamp, online features, twin update, twin features, losses, update.
 */
import "./CpuTraining.ts"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import { fromHuggingFace } from "../src/HuggingFaceNames.ts"
import { languageModeling } from "../src/objectives/LanguageModeling.ts"
import { matching, negativeWeights } from "../src/objectives/Matching.ts"
import { momentumContrastive } from "../src/objectives/MomentumContrastive.ts"
import { blipOptimizer } from "../src/Optimizers.ts"
import { adamW, gradientsOf, type Named } from "./AdamW.ts"
import { blipFrom, namedWeights, startingWith, textOf } from "./BlipCase.ts"
import { assertClose, assertGradient, assertTrained } from "./Close.ts"
import { readJson, readTensors, toTensor, type Stored } from "./Safetensors.ts"

interface Recipe {
  readonly text_config: object
  readonly vision_config: object
  readonly embed_dim: number
  readonly queue_size: number
  readonly momentum: number
  readonly alpha: number
  readonly enc_token_id: number
  readonly dec_token_id: number
  readonly tied_lm_head: boolean
  readonly optimizer: { readonly lr: number }
  readonly steps: ReadonlyArray<{ loss_ita: number; loss_itm: number; loss_lm: number; temp: number }>
}

const open = (name: string) => {
  const recipe = readJson<Recipe>(`${name}/expected_train.json`)
  const stored = { ...readTensors("blip_pretrain/init.safetensors"), ...readTensors(`${name}/init.safetensors`) }
  const model = blipFrom({
    model_type: "blip",
    image_text_hidden_size: recipe.embed_dim,
    tie_word_embeddings: recipe.tied_lm_head,
    vision_config: recipe.vision_config,
    text_config: recipe.text_config
  })
  const ours = Object.fromEntries(
    Object.entries(fromHuggingFace(model, Object.keys(stored)).names).map(([mine, theirs]) => [theirs, mine])
  )
  return { recipe, stored, model, ours, expected: readTensors(`${name}/expected_train.safetensors`) }
}
type Case = ReturnType<typeof open>

/** The queue is [E, Q] in the case and [Q, E] here. */
const queueOf = (stored: Stored): Tensor => tf.transpose(toTensor(stored))

const forward = (at: Case, weights: Named, twin: Named, queues: { image: Tensor; text: Tensor }, step: number) => {
  const { model, recipe, expected } = at
  const pixels = toTensor(expected["pixel_values"]!)
  const text = textOf(expected)
  const online = model.encodeImage(weights, pixels)
  const itc = momentumContrastive({
    image_embeds: online.image_embeds,
    text_embeds: model.encodeText(weights, text),
    twin_image_embeds: model.encodeImage(twin, pixels).image_embeds,
    twin_text_embeds: model.encodeText(twin, text),
    image_queue: queues.image,
    text_queue: queues.text,
    scale: model.similarityScale(weights),
    alpha: tf.scalar(recipe.alpha)
  })
  const itm = matching(model, weights, online.image_tokens, startingWith(recipe.enc_token_id, text), {
    image_indices: toTensor(expected[`step${step}.neg_image_idx`]!),
    text_indices: toTensor(expected[`step${step}.neg_text_idx`]!)
  })
  const decoded = startingWith(recipe.dec_token_id, text)
  const logits = model.decodeLogits(weights, online.image_tokens, decoded)
  const lm = languageModeling({
    logits,
    input_ids: decoded.input_ids,
    target_mask: text.attention_mask,
    label_smoothing: 0.1
  })
  return { itc, itm, lm }
}

const follow = (twin: Named, weights: Named, momentum: number): Named =>
  Object.fromEntries(
    Object.entries(twin).map(([name, old]) => [
      name,
      tf.add(tf.mul(old, momentum), tf.mul(weights[name]!, 1 - momentum))
    ])
  )

/** Overwrites rows of a queue from `at` on. */
const enqueue = (queue: Tensor, at: number, rows: Tensor): Tensor => {
  const count = rows.shape[0]!
  const before = tf.slice(queue, [0, 0], [at, -1])
  const after = tf.slice(queue, [at + count, 0], [queue.shape[0]! - at - count, -1])
  return tf.concat([before, rows, after], 0)
}

beforeAll(async () => {
  await tf.setBackend("cpu")
})

describe.each(["blip_pretrain", "blip_pretrain_untied"])("BLIP's pre-training against PyTorch: %s", (name) => {
  it("fills every weight from the initial tensors", () => {
    const { model, stored } = open(name)
    const { missing, unused } = fromHuggingFace(model, Object.keys(stored))
    assert.deepStrictEqual([missing, unused.toSorted()], [[], ["image_queue", "queue_ptr", "text_queue"]])
  })

  it("follows all losses, weights, twin and queues for three steps", () => {
    const at = open(name)
    const { model, recipe, expected, stored, ours } = at
    let weights = namedWeights(model, stored)
    let twin: Named = Object.fromEntries(model.encoderWeights.map((each) => [each, tf.mul(weights[each]!, 0.9)]))
    let queues = { image: queueOf(stored["image_queue"]!), text: queueOf(stored["text_queue"]!) }
    let pointer = stored["queue_ptr"]!.data[0]!
    const update = adamW(blipOptimizer, recipe.optimizer.lr, model.clamp)
    recipe.steps.forEach((wanted, step) => {
      twin = follow(twin, weights, recipe.momentum)
      const tolerance = step === 0 ? 1e-4 : 1e-3
      let rows: { image: Tensor; text: Tensor } | undefined
      const { gradients } = gradientsOf(weights, (now) => {
        const { itc, itm, lm } = forward(at, now, twin, queues, step)
        assert.closeTo(itc.itc_loss.dataSync()[0]!, wanted.loss_ita, tolerance, `ITC at step ${step}`)
        assert.closeTo(itm.itm_loss.dataSync()[0]!, wanted.loss_itm, tolerance, `ITM at step ${step}`)
        assert.closeTo(lm.lm_loss.dataSync()[0]!, wanted.loss_lm, tolerance, `LM at step ${step}`)
        assert.closeTo(now["temp"]!.dataSync()[0]!, wanted.temp, 1e-5)
        if (step === 0) {
          assertClose(negativeWeights(itc.similarity_i2t), expected["step0.weights_i2t"]!, 1e-4, "weights_i2t")
          assertClose(negativeWeights(itc.similarity_t2i), expected["step0.weights_t2i"]!, 1e-4, "weights_t2i")
          assertClose(itm.match_logits, expected["step0.itm_logits"]!, 1e-4, "itm_logits")
          assertClose(itc.enqueue_image, expected["step0.image_feat_m"]!, 1e-5, "image_feat_m")
        }
        rows = { image: tf.keep(tf.clone(itc.enqueue_image)), text: tf.keep(tf.clone(itc.enqueue_text)) }
        return tf.add(tf.add(itc.itc_loss, itm.itm_loss), lm.lm_loss)
      })
      if (step === 0)
        for (const key of Object.keys(expected).filter((each) => each.startsWith("grad0.")))
          assertGradient(gradients[ours[key.slice(6)]!]!, expected[key]!, key)
      queues = {
        image: enqueue(queues.image, pointer, rows!.image),
        text: enqueue(queues.text, pointer, rows!.text)
      }
      pointer = (pointer + rows!.image.shape[0]!) % recipe.queue_size
      assertClose(tf.transpose(queues.image), expected[`step${step}.image_queue_after`]!, 1e-4, "image queue")
      assertClose(tf.transpose(queues.text), expected[`step${step}.text_queue_after`]!, 1e-4, "text queue")
      weights = update(weights, gradients)
    })
    for (const key of Object.keys(expected).filter((each) => each.startsWith("param3."))) {
      const theirs = key.slice(7)
      const plain = ours[theirs.replace("_m.", ".")]!
      assertTrained((theirs.includes("_m.") ? twin : weights)[plain]!, expected[key]!, recipe.optimizer.lr, key)
    }
  })

  it("gives each loss's own gradients", () => {
    const at = open(name)
    const weights = namedWeights(at.model, at.stored)
    const queues = { image: queueOf(at.stored["image_queue"]!), text: queueOf(at.stored["text_queue"]!) }
    const scaled: Named = Object.fromEntries(at.model.encoderWeights.map((each) => [each, tf.mul(weights[each]!, 0.9)]))
    const twin = follow(scaled, weights, at.recipe.momentum)
    const losses = { ita: "itc", itm: "itm", lm: "lm" } as const
    for (const loss of ["ita", "itm", "lm"] as const) {
      const keys = Object.keys(at.expected).filter((each) => each.startsWith(`grad0_${loss}.`))
      if (keys.length === 0) continue
      const theirs = (key: string): string => key.slice(key.indexOf(".") + 1)
      const some = Object.fromEntries(keys.map((key) => [at.ours[theirs(key)]!, weights[at.ours[theirs(key)]!]!]))
      const { gradients } = gradientsOf(some, (now) => {
        const all = forward(at, { ...weights, ...now }, twin, queues, 0)
        const outputs: Record<string, Tensor> = { ...all.itc, ...all.itm, ...all.lm }
        return outputs[`${losses[loss]}_loss`]!
      })
      for (const key of keys) assertGradient(gradients[at.ours[theirs(key)]!]!, at.expected[key]!, key)
    }
  })
})
