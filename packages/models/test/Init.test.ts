import { assert, describe, it } from "vitest"
import type { BlipConfig } from "../src/Config.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset } from "../src/Presets.ts"

const clip = modelFromConfig(preset("clip", "tiny", { vocab_size: 200 }))
const blip = modelFromConfig(preset("blip", "tiny", { vocab_size: 200 }))
const clipArrays = clip.init(1)
const blipArrays = blip.init(1)

const std = (values: Float32Array): number =>
  Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length)
const largest = (values: Float32Array): number => values.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
const LAYER = "text_model.encoder.layers.1"
const VISION = "vision_model.encoder.layers.1"

describe("initial weights of CLIP, as OpenAI's code draws them", () => {
  const width = 128
  it.each([
    ["text_model.embeddings.token_embedding.weight", 0.02],
    ["text_model.embeddings.position_embedding.weight", 0.01],
    [`${LAYER}.self_attn.k_proj.weight`, width ** -0.5],
    [`${LAYER}.self_attn.out_proj.weight`, width ** -0.5 * 8 ** -0.5],
    [`${LAYER}.mlp.fc1.weight`, (2 * width) ** -0.5],
    [`${LAYER}.mlp.fc2.weight`, width ** -0.5 * 8 ** -0.5],
    ["text_projection.weight", width ** -0.5],
    ["visual_projection.weight", width ** -0.5],
    ["vision_model.embeddings.position_embedding.weight", width ** -0.5],
    [`${VISION}.self_attn.q_proj.weight`, Math.sqrt(6 / (4 * width)) / Math.sqrt(3)],
    [`${VISION}.mlp.fc1.weight`, width ** -0.5 / Math.sqrt(3)],
    [`${VISION}.mlp.fc2.weight`, (4 * width) ** -0.5 / Math.sqrt(3)]
  ])("%s has standard deviation %f", (name, expected) => {
    assert.closeTo(std(clipArrays[name]!) / expected, 1, 0.05)
  })

  it("bounds the vision blocks as PyTorch's defaults do, and zeroes what starts at zero", () => {
    assert.isAtMost(largest(clipArrays[`${VISION}.mlp.fc1.bias`]!), width ** -0.5)
    assert.isAbove(largest(clipArrays[`${VISION}.mlp.fc1.bias`]!), 0.9 * width ** -0.5)
    for (const layer of [LAYER, VISION]) {
      assert.strictEqual(largest(clipArrays[`${layer}.self_attn.q_proj.bias`]!), 0)
      assert.strictEqual(largest(clipArrays[`${layer}.self_attn.out_proj.bias`]!), 0)
      assert.deepStrictEqual(new Set(clipArrays[`${layer}.layer_norm1.weight`]), new Set([1]))
    }
    assert.closeTo(clipArrays["logit_scale"]![0]!, Math.log(1 / 0.07), 1e-3)
  })
})

describe("initial weights of BLIP", () => {
  it.each([
    "vision_model.embeddings.position_embedding",
    "vision_model.encoder.layers.1.self_attn.qkv.weight",
    "text_encoder.embeddings.word_embeddings.weight",
    "text_encoder.encoder.layer.1.crossattention.self.key.weight",
    "text_decoder.cls.predictions.transform.dense.weight"
  ])("%s has the preset's standard deviation, and 0.02 at the published width", (name) => {
    const { initializer_range } = preset("blip", "tiny") as BlipConfig
    assert.closeTo(std(blipArrays[name]!) / initializer_range, 1, 0.05)
    assert.strictEqual((preset("blip", "vit-b-16") as BlipConfig).initializer_range, 0.02)
  })

  it("starts at temp 0.07, with norms 1 and biases 0", () => {
    assert.closeTo(blipArrays["temp"]![0]!, 0.07, 1e-8)
    assert.strictEqual(largest(blipArrays["text_encoder.encoder.layer.0.output.dense.bias"]!), 0)
    assert.deepStrictEqual(new Set(blipArrays["text_encoder.embeddings.LayerNorm.weight"]), new Set([1]))
  })
})

describe("the draw", () => {
  it("depends on seed and name only", () => {
    assert.deepStrictEqual(clip.init(1), clipArrays)
    const name = "text_projection.weight"
    assert.notDeepEqual(clip.init(2)[name], clipArrays[name])
    const fewer = modelFromConfig({ ...preset("clip", "tiny", { vocab_size: 90 }) })
    assert.deepStrictEqual(fewer.init(1)[name], clipArrays[name])
  })

  it("fills every weight", () => {
    for (const model of [clip, blip])
      for (const [name, values] of Object.entries(model.init(3))) {
        assert.lengthOf(
          values,
          model.shapes[name]!.reduce((product, size) => product * size, 1),
          name
        )
        assert.isTrue(values.every(Number.isFinite), name)
      }
  })
})
