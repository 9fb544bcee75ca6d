import "./CpuTraining.ts"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import type { ModelConfig } from "../src/Config.ts"
import { toHuggingFace } from "../src/HuggingFaceExport.ts"
import type { Model } from "../src/Model.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { sigmoidContrastive } from "../src/objectives/SigmoidContrastive.ts"
import { siglipOptimizer } from "../src/Optimizers.ts"
import { preset } from "../src/Presets.ts"
import { adamW, gradientsOf, type Named } from "./AdamW.ts"
import { assertClose, assertGradient, assertTrained } from "./Close.ts"
import { readJson, readTensors, toTensor } from "./Safetensors.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const numberOf = (x: Tensor): number => x.dataSync()[0]!

const stored = readTensors("siglip_model/model.safetensors")
const model = modelFromConfig(readJson<ModelConfig>("siglip_model/config.json"))
const weights: Named = Object.fromEntries(Object.entries(stored).map(([key, value]) => [key, toTensor(value)]))

const lossOf = (of: Model, at: Named, pixels: Tensor, input_ids: Tensor) =>
  sigmoidContrastive({
    image_embeds: of.encodeImage(at, pixels).image_embeds,
    text_embeds: of.encodeText(at, { input_ids, attention_mask: tf.onesLike(input_ids) }),
    scale: of.similarityScale(at),
    bias: of.similarityBias!(at)
  })

describe("SigLIP against transformers", () => {
  it("names and shapes its weights as SiglipModel does", () => {
    const shapes = Object.fromEntries(Object.entries(stored).map(([key, { shape }]) => [key, shape]))
    assert.deepStrictEqual({ ...model.shapes }, shapes)
  })

  it("gives the same similarities, their bias included", () => {
    const expected = readTensors("siglip_model/expected_train.safetensors")
    const [pixels, ids] = [toTensor(expected["pixel_values"]!), toTensor(expected["input_ids"]!)]
    const { similarity_i2t } = lossOf(model, weights, pixels, ids)
    assertClose(similarity_i2t, expected["logits_per_image0"]!, 1e-4, "logits_per_image")
  })

  it("trains like PyTorch for three AdamW steps", () => {
    const expected = readTensors("siglip_model/expected_train.safetensors")
    const recipe = readJson<{ losses: Array<number>; lr: number; weight_decay: number }>(
      "siglip_model/expected_train.json"
    )
    const [pixels, ids] = [toTensor(expected["pixel_values"]!), toTensor(expected["input_ids"]!)]
    const update = adamW({ ...siglipOptimizer, weight_decay: recipe.weight_decay }, recipe.lr, model.clamp)
    let now = weights
    recipe.losses.forEach((wanted, step) => {
      const { value, gradients } = gradientsOf(now, (at) => lossOf(model, at, pixels, ids).itc_loss)
      assert.closeTo(value, wanted, 1e-4, `loss of step ${step}`)
      if (step === 0)
        for (const key of Object.keys(weights))
          assertGradient(gradients[key]!, expected[`grad0.${key}`]!, `gradient of ${key}`)
      now = update(now, gradients)
    })
    // The keys' biases, in a fused one too, have gradients of rounding noise.
    for (const key of Object.keys(weights).filter((each) => !/k_proj\.bias|in_proj_bias/.test(each)))
      assertTrained(now[key]!, expected[`param3.${key}`]!, recipe.lr, `${key} after three steps`)
  })
})

describe("the sigmoid loss", () => {
  it("is softplus of minus the own logit and of every other one, a row on average", () => {
    const eye = tf.eye(3)
    const loss = sigmoidContrastive({ image_embeds: eye, text_embeds: eye, scale: tf.scalar(10), bias: tf.scalar(-10) })
    assert.closeTo(numberOf(loss.itc_loss), Math.log(2) + 2 * Math.log1p(Math.exp(-10)), 1e-6)
    assert.deepStrictEqual([numberOf(loss.image_accuracy), numberOf(loss.text_accuracy)], [1, 1])
  })

  it("stays finite for logits that float32's exponential can't hold", () => {
    const eye = tf.eye(2)
    const at = { image_embeds: eye, text_embeds: tf.neg(eye), scale: tf.scalar(500), bias: tf.scalar(0) }
    assert.closeTo(numberOf(sigmoidContrastive(at).itc_loss), 500 + Math.log(2), 1e-3)
  })
})

const count = (shapes: Readonly<Record<string, ReadonlyArray<number>>>): number =>
  Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0)

describe("SigLIP's presets", () => {
  // Parameters of transformers' SiglipModel at these sizes.
  it.each([
    ["vit-b-16", 203_155_970],
    ["vit-so400m-14", 877_960_498]
  ])("%s has the published number of parameters", (name, parameters) => {
    assert.strictEqual(count(modelFromConfig(preset("siglip", name)).shapes), parameters)
  })

  it("draw the initial weights of the paper", () => {
    const tiny = modelFromConfig(preset("siglip", "tiny", { vocab_size: 200 }))
    const arrays = tiny.init(1)
    const std = (name: string): number =>
      Math.sqrt(arrays[name]!.reduce((sum, x) => sum + x * x, 0) / arrays[name]!.length)
    const D = 128
    assert.closeTo(arrays["logit_scale"]![0]!, Math.log(10), 1e-6)
    assert.strictEqual(arrays["logit_bias"]![0], -10)
    for (const [name, wanted] of [
      ["text_model.embeddings.token_embedding.weight", D ** -0.5],
      ["text_model.encoder.layers.1.self_attn.q_proj.weight", (2 / (2 * D)) ** 0.5],
      ["vision_model.encoder.layers.1.mlp.fc1.weight", (2 / (5 * D)) ** 0.5],
      ["vision_model.head.attention.in_proj_weight", (2 / (2 * D)) ** 0.5],
      ["vision_model.embeddings.patch_embedding.weight", (3 * 64) ** -0.5],
      ["text_model.head.weight", D ** -0.5]
    ] as const)
      assert.closeTo(std(name) / wanted, 1, 0.05, name)
    assert.isBelow(std("vision_model.head.mlp.fc1.bias"), 2e-6)
  })

  it("are written as SiglipModel, and CLIP with a bias as nothing", () => {
    const ids = { pad_token_id: 1, start_token_id: 1, end_token_id: 1 }
    const nano = modelFromConfig(preset("siglip", "nano", { vocab_size: 50 }))
    const { config, names } = toHuggingFace(nano, ids)
    assert.deepStrictEqual(config["architectures"], ["SiglipModel"])
    assert.deepStrictEqual(Object.keys(names), Object.keys(nano.shapes))
    assert.throws(() => toHuggingFace(nano, ids, "CLIPModel"), "it is a SiglipModel")
    const biased = modelFromConfig({ ...preset("clip", "nano"), logit_bias_init_value: -10 })
    assert.deepStrictEqual(biased.shapes["logit_bias"], [])
    assert.throws(() => toHuggingFace(biased, ids), "logit_bias_init_value")
  })
})
