import { describe, expect, it } from "vitest"
import { Files } from "@bootlace/data"
import { InitModel } from "../src/InitModel.ts"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { readCheckpointFolder } from "../src/tensor/CheckpointFolder.ts"
import { encodeTensors } from "../src/tensor/TensorFile.ts"
import { operatorContract } from "./contract.ts"
import { artifactOf, failureOf, filesFingerprint, readJson, runFold, runIn } from "./inMemory.ts"
import { filesOf, newModel, vocabulary } from "./tinyPairs.ts"

operatorContract(InitModel, {
  config: { architecture: "clip", preset: "nano" },
  artifacts: { vocabulary },
  badConfigs: [
    { config: { architecture: "flava", preset: "nano" }, names: /architecture/ },
    {
      config: { architecture: "blip", preset: "clip-vit-bert" },
      names: /no preset clip-vit-bert for blip: nano, micro/
    },
    { config: { architecture: "clip" }, names: /expected preset, config or path/ },
    { config: { architecture: "clip", preset: "nano", path: "x" }, names: /path stands alone/ }
  ]
})

const init = (config: object, seed = 3) => {
  const given = { config, artifacts: { vocabulary }, seed }
  return runIn(given, runFold(InitModel, given, []))
}

describe("InitModel", () => {
  it("writes a model that can be read back, with the vocabulary's size", async () => {
    const artifact = await newModel("blip")
    expect(artifact.files.toSorted()).toEqual([
      "config.json",
      "model.safetensors",
      "preprocessor_config.json",
      "vocab.txt"
    ])
    const { model, tokenizer, weights } = await runIn({}, readModel("node", artifact))
    expect(model.vocab_size).toBe(tokenizer.vocab_size)
    expect(Object.keys(weights).toSorted()).toEqual(Object.keys(model.shapes).toSorted())
    expect(weights["temp"]!.data[0]).toBeCloseTo(0.07, 6)
  })

  it("draws the same weights for the same seed and others for another", async () => {
    const config = { architecture: "clip", preset: "nano" }
    const [a, b, c] = await Promise.all([init(config), init(config), init(config, 4)])
    expect(filesFingerprint(a.files)).toEqual(filesFingerprint(b.files))
    expect(filesFingerprint(a.files)["model.safetensors"]).not.toBe(filesFingerprint(c.files)["model.safetensors"])
    expect(a.metrics["parameters"]).toBeGreaterThan(10_000)
  })

  it("lays config keys over a preset and names the wrong ones", async () => {
    const { files } = await init({
      architecture: "clip",
      preset: "nano",
      config: { vision_config: { image_size: 32 } }
    })
    expect(readJson(files, "config.json")).toMatchObject({ vision_config: { image_size: 32, patch_size: 8 } })
    const given = {
      config: { architecture: "clip", preset: "nano", config: { vision_config: { patch_size: 5 } } },
      artifacts: { vocabulary }
    }
    expect(String(await failureOf(given, runFold(InitModel, given, [])))).toMatch(/vision_config.patch_size/)
  })
})

describe("a model artifact", () => {
  it("is refused by name where weights and config disagree", async () => {
    const files = await filesOf(await newModel("clip"))
    const weights = { logit_scale: { shape: [2], dtype: "float32" as const, data: new Float32Array(2) } }
    const broken = artifactOf("model", { ...files, "model.safetensors": encodeTensors(weights) })
    expect(String(await failureOf({}, readModel("node", broken)))).toMatch(
      /R401.*logit_scale: expected float32 \[\], got float32 \[2\]/
    )
    const cut = artifactOf("model", { ...files, "model.safetensors": files["model.safetensors"]!.slice(0, 100) })
    expect(String(await failureOf({}, readModel("node", cut)))).toMatch(/R401/)
  })

  it.each([
    ["clip", "clip_gelu"],
    ["clip", "openclip_tiny"],
    ["blip", "blip_caption"],
    ["siglip", "siglip_model"],
    ["siglip", "variants/tokens_unigram_json"]
  ])("loads a checkpoint folder, tokenizer and all: %s, %s", async (architecture, path) => {
    const directory = new URL("../../../test/parity", import.meta.url).pathname
    const given = { config: { architecture, path }, directory, layer: Files.layer }
    const { files } = await runIn(given, runFold(InitModel, given, []))
    const { model, tokenizer } = await runIn({}, readModel("node", artifactOf("model", files)))
    expect(model.architecture).toBe(architecture)
    const expected = await runIn(given, readCheckpointFolder(`${directory}/${path}`))
    const text = "A caf\u00C3\u00A9, two dogs"
    expect(tokenizer.encode(text, 30)).toEqual(expected.tokenizer!.encode(text, 30))
    const wrong = { ...given, config: { architecture: architecture === "clip" ? "blip" : "clip", path } }
    expect(await failureOf(wrong, runFold(InitModel, wrong, []))).toMatchObject({ code: "R208" })
  })
})
