import "./CpuTraining.ts"
import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import { l2Normalize } from "../src/Layers.ts"
import type { TokenTensors } from "../src/Model.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { contrastive } from "../src/objectives/Contrastive.ts"
import { clipOptimizer } from "../src/Optimizers.ts"
import { adamW, gradientsOf, type Named } from "./AdamW.ts"
import { assertClose, assertGradient, assertTrained } from "./Close.ts"
import { readJson, readTensors, toTensor, type Stored } from "./Safetensors.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const load = (name: string) => {
  const model = modelFromConfig(readJson(`${name}/config.json`))
  const stored = readTensors(`${name}/model.safetensors`)
  const weights: Named = Object.fromEntries(Object.entries(stored).map(([key, value]) => [key, toTensor(value)]))
  return { model, stored, weights }
}

const textOf = (expected: Record<string, Stored>): TokenTensors => ({
  input_ids: toTensor(expected["input_ids"]!),
  attention_mask: toTensor(expected["attention_mask"]!)
})

describe.each(["clip_quickgelu", "clip_gelu"])("CLIP against transformers: %s", (name) => {
  it("names and shapes its weights as CLIPModel does", () => {
    const { model, stored } = load(name)
    const shapes = Object.fromEntries(Object.entries(stored).map(([key, { shape }]) => [key, shape]))
    assert.deepStrictEqual({ ...model.shapes }, shapes)
  })

  it("gives the same embeddings and similarities", () => {
    const { model, weights } = load(name)
    const expected = readTensors(`${name}/expected_forward.safetensors`)
    const { image_embeds } = model.encodeImage(weights, toTensor(expected["pixel_values_pil"]!))
    const text_embeds = model.encodeText(weights, textOf(expected))
    assertClose(image_embeds, expected["image_embeds_raw"]!, 1e-4, "image_embeds_raw")
    assertClose(text_embeds, expected["text_embeds_raw"]!, 1e-4, "text_embeds_raw")
    const cosines: Tensor = tf.matMul(l2Normalize(image_embeds), l2Normalize(text_embeds), false, true)
    const logits: Tensor = tf.mul(cosines, model.similarityScale(weights))
    assertClose(logits, expected["logits_per_image"]!, 1e-3, "logits_per_image")
  })

  it("trains like PyTorch for three AdamW steps", () => {
    const { model, weights: initial } = load(name)
    const expected = readTensors(`${name}/expected_train.safetensors`)
    const recipe = readJson<{
      losses: Array<number>
      logit_scale_after: Array<number>
      lr: number
      named: Array<string>
    }>(`${name}/expected_train.json`)
    const pixels = toTensor(expected["pixel_values"]!)
    const text = textOf(expected)
    const loss = (weights: Named): Tensor => {
      const { image_embeds } = model.encodeImage(weights, pixels)
      const text_embeds = model.encodeText(weights, text)
      return contrastive({ image_embeds, text_embeds, scale: model.similarityScale(weights) }).itc_loss
    }
    const update = adamW(clipOptimizer, recipe.lr, model.clamp)
    let weights = initial
    recipe.losses.forEach((expectedLoss, step) => {
      const { value, gradients } = gradientsOf(weights, loss)
      assert.closeTo(value, expectedLoss, step === 0 ? 1e-4 : 1e-3, `loss of step ${step}`)
      if (step === 0)
        for (const key of recipe.named) assertGradient(gradients[key]!, expected[`grad0.${key}`]!, `gradient of ${key}`)
      weights = update(weights, gradients)
      assert.closeTo(weights["logit_scale"]!.dataSync()[0]!, recipe.logit_scale_after[step]!, 1e-5)
    })
    for (const key of recipe.named.filter((each) => `param3.${each}` in expected && !each.endsWith("k_proj.bias")))
      assertTrained(weights[key]!, expected[`param3.${key}`]!, recipe.lr, `${key} after three steps`)
  })
})
