import { afterAll, describe, expect, it } from "vitest"
import { Files, openSafetensors } from "@bootlace/data"
import { Effect, Layer } from "effect"
import { appendFileSync, cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { InitModel } from "../src/InitModel.ts"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { checkpointContent, readCheckpointFolder } from "../src/tensor/CheckpointFolder.ts"
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

const nodeFiles = Effect.runSync(Effect.provide(Files, Files.layer))

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

describe("the content of a checkpoint folder", () => {
  const parity = new URL("../../../test/parity/", import.meta.url).pathname
  const temporary = mkdtempSync(join(tmpdir(), "bootlace-init-"))
  afterAll(() => rmSync(temporary, { recursive: true, force: true }))

  const copyOf = (path: string, name: string): string => {
    cpSync(join(parity, path), join(temporary, name), { recursive: true })
    return join(temporary, name)
  }
  const hashOf = (folder: string) => runIn({ layer: Files.layer }, checkpointContent(folder))

  it("is the same under another path, and whatever else lies there", async () => {
    const copy = copyOf("clip_gelu", "copy")
    writeFileSync(join(copy, "README.md"), "other words")
    expect(await hashOf(copy)).toBe(await hashOf(join(parity, "clip_gelu")))
    expect(await hashOf(join(parity, "clip_quickgelu"))).not.toBe(await hashOf(copy))
  })

  it.each(["clip_gelu", "openclip_tiny", "blip_caption", "siglip_model", "variants/tokens_unigram_json"])(
    "changes with every file that is read: %s",
    async (path) => {
      const folder = copyOf(path, path.replaceAll("/", "_"))
      const before = await hashOf(folder)
      const read: Array<string> = []
      const recorded = Layer.succeed(Files, {
        ...nodeFiles,
        read: (file) => (read.push(file), nodeFiles.read(file)),
        open: (file) => (read.push(file), nodeFiles.open(file))
      })
      await runIn({ layer: recorded }, readCheckpointFolder(folder))
      expect(read.length).toBeGreaterThan(2)
      const unnoticed: Array<string> = []
      for (const file of new Set(read)) {
        const bytes = readFileSync(file)
        writeFileSync(file, Buffer.concat([bytes, Buffer.from(" ")]))
        if ((await hashOf(folder)) === before) unnoticed.push(file)
        writeFileSync(file, bytes)
      }
      expect(unnoticed).toEqual([])
      expect(await hashOf(folder)).toBe(before)
    }
  )

  it("counts the shards that an index names, and refuses a pickle before anything is read", async () => {
    const folder = copyOf("clip_gelu", "sharded")
    const { tensors } = await runIn({ layer: Files.layer }, openSafetensors(join(folder, "model.safetensors")))
    const weight_map = Object.fromEntries([...tensors.keys()].map((name) => [name, "weights.safetensors"]))
    renameSync(join(folder, "model.safetensors"), join(folder, "weights.safetensors"))
    const missing = { layer: Files.layer, config: { architecture: "clip", path: folder } }
    writeFileSync(join(folder, "pytorch_model.bin"), "")
    const { content } = InitModel.body
    const context = { node: "clip", config: { architecture: "clip", path: folder }, seed: 1, directory: "/" } as const
    expect(await failureOf(missing, content!(context))).toMatchObject({ code: "R208", node: "clip" })
    writeFileSync(join(folder, "model.safetensors.index.json"), JSON.stringify({ weight_map }))
    const before = await hashOf(folder)
    appendFileSync(join(folder, "weights.safetensors"), " ")
    expect(await hashOf(folder)).not.toBe(before)
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
