import { assert, describe, it } from "vitest"
import { activations, ConfigError } from "../src/Config.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset, presetNames } from "../src/Presets.ts"
import { SPECIAL_TOKENS } from "../src/text/SpecialTokens.ts"
import { wordPiece } from "../src/text/WordPiece.ts"

const count = (shapes: Readonly<Record<string, ReadonlyArray<number>>>): number =>
  Object.values(shapes).reduce((sum, shape) => sum + shape.reduce((product, size) => product * size, 1), 0)

const problemsOf = (config: unknown): ReadonlyArray<string> => {
  try {
    modelFromConfig(config)
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
  return []
}

describe("presets", () => {
  // Parameters of the released checkpoints, as open_clip's model profile lists them (in millions 151.28, 149.62, 427.62).
  it.each([
    ["vit-b-32", 151_277_313],
    ["vit-b-16", 149_620_737],
    ["vit-l-14", 427_616_513]
  ])("CLIP %s has the published number of parameters", (name, parameters) => {
    assert.strictEqual(count(modelFromConfig(preset("clip", name)).shapes), parameters)
  })

  it.each(["clip", "blip", "siglip"] as const)(
    "%s: every preset makes a model that its own config makes again",
    (architecture) => {
      for (const name of presetNames(architecture)) {
        const model = modelFromConfig(preset(architecture, name, { vocab_size: 500 }))
        assert.strictEqual(model.vocab_size, 500)
        const again = modelFromConfig(JSON.parse(JSON.stringify(model.config)))
        assert.deepStrictEqual(again.shapes, model.shapes)
        assert.deepStrictEqual(again.config, model.config)
        assert.isTrue(model.encoderWeights.every((each) => each in model.shapes))
      }
    }
  )

  it("takes the ids of a vocabulary made here", () => {
    const tokenizer = wordPiece([...SPECIAL_TOKENS, "a"])
    const clip = preset("clip", "nano", { vocab_size: 8 })
    const blip = preset("blip", "nano", { vocab_size: 8 })
    assert.include(clip.text_config, { eos_token_id: tokenizer.end })
    assert.include(blip.text_config, { bos_token_id: tokenizer.dec, sep_token_id: tokenizer.end })
  })

  it("names the presets there are", () => {
    assert.throws(() => preset("blip", "vit-l-14"), /no preset "vit-l-14" for blip; there are nano, micro, tiny/)
    assert.throws(() => preset("clip", "toString"), /no preset/)
  })
})

describe("configs", () => {
  const good = preset("clip", "nano")

  it("name every wrong key", () => {
    const config = {
      ...good,
      projection_dim: "64",
      vision_config: { ...good.vision_config, patch_size: 7, hidden_act: "mish" },
      text_config: { ...good.text_config, num_attention_heads: 5, vocab_size: undefined }
    }
    assert.deepStrictEqual(
      [...problemsOf(config)].sort(),
      [
        'projection_dim: expected a positive integer, got "64"',
        "text_config.num_attention_heads: expected a divisor of hidden_size 32, got 5",
        "text_config.vocab_size: expected a positive integer, got nothing",
        `vision_config.hidden_act: expected ${activations.map((name) => `"${name}"`).join(" or ")}, got "mish"`,
        "vision_config.patch_size: expected a divisor of image_size 16, got 7"
      ].sort()
    )
  })

  it("of other models, or none at all, are refused in words", () => {
    assert.deepStrictEqual(problemsOf({ model_type: "flava" }), [
      'model_type: expected "clip" or "blip" or "siglip", got "flava"'
    ])
    assert.deepStrictEqual(problemsOf(null), ["the config: expected an object, got null"])
    assert.include(problemsOf({ model_type: "clip" }), "vision_config: expected an object, got nothing")
  })
})
