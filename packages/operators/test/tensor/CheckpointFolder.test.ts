/** Checkpoint folders read, refused, and written: test/parity's folders there and back, and what is wrong with others. */
import { encodeSafetensors, Files, openSafetensors, toBfloat16, toFloat16, writeSafetensors } from "@bootlace/data"
import type { TensorData } from "@bootlace/data"
import { preset, modelFromConfig } from "@bootlace/models"
import type { HuggingFaceClass } from "@bootlace/models"
import { Effect } from "effect"
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, it } from "vitest"
import { exportHuggingFace } from "../../src/tensor/ExportCheckpoint.ts"
import { readCheckpointFolder } from "../../src/tensor/CheckpointFolder.ts"

const parity = new URL("../../../../test/parity/", import.meta.url).pathname
const scratch = mkdtempSync(join(tmpdir(), "checkpoint-"))
afterAll(() => rmSync(scratch, { recursive: true }))

const run = <A>(effect: Effect.Effect<A, unknown, Files>): Promise<A> =>
  Effect.runPromise(Effect.provide(effect, Files.layer))
const failureOf = (folder: string): Promise<string> =>
  run(readCheckpointFolder(folder)).then(
    () => "no failure",
    (error: unknown) => String(error)
  )

let copies = 0
const copyOf = (name: string): string => {
  const folder = join(scratch, `${++copies}`)
  cpSync(join(parity, name), folder, { recursive: true })
  return folder
}

const editConfig = (folder: string, edit: (config: any) => void, file = "config.json"): string => {
  const config = JSON.parse(readFileSync(join(folder, file), "utf8"))
  edit(config)
  writeFileSync(join(folder, file), JSON.stringify(config))
  return folder
}

/** Every tensor of a file as it is stored. */
const tensorsOf = (path: string): Promise<Readonly<Record<string, TensorData>>> =>
  run(
    Effect.scoped(
      Effect.gen(function* () {
        const file = yield* openSafetensors(path)
        const tensors: Record<string, TensorData> = {}
        for (const [name, { dtype, shape }] of file.tensors)
          tensors[name] = { dtype, shape, data: yield* file.bytes(name) }
        return tensors
      })
    )
  )

const folders = ["clip_quickgelu", "clip_gelu", "openclip_tiny", "blip_itm", "blip_caption", "blip_model"]

describe("readCheckpointFolder and exportHuggingFace", () => {
  it.each(folders)("give the same weights and tokenizer there and back: %s", async (name) => {
    const read = await run(readCheckpointFolder(join(parity, name)))
    const folder = join(scratch, `${++copies}`)
    await run(exportHuggingFace({ ...read, vocabulary: read.vocabulary! }, folder))
    const back = await run(readCheckpointFolder(folder))
    expect(back.weights).toEqual(read.weights)
    expect(back.missing).toEqual(read.missing)
    // What comes back comes from a folder of transformers.
    expect(back.model.preprocess).toEqual({ ...read.model.preprocess, processor: "transformers_pillow" })
    expect([...back.tokenizer!.encode("two dogs, a caf\u00e9", 20)]).toEqual([
      ...read.tokenizer!.encode("two dogs, a caf\u00e9", 20)
    ])
  })

  it.each(["clip_quickgelu", "blip_itm", "blip_caption", "siglip_model"])(
    "write the tensors that transformers wrote: %s",
    async (name) => {
      const read = await run(readCheckpointFolder(join(parity, name)))
      const folder = join(scratch, `${++copies}`)
      await run(exportHuggingFace({ ...read, vocabulary: read.vocabulary! }, folder))
      expect(await tensorsOf(join(folder, "model.safetensors"))).toEqual(
        await tensorsOf(join(parity, name, "model.safetensors"))
      )
      const ours = JSON.parse(readFileSync(join(folder, "config.json"), "utf8"))
      const theirs = JSON.parse(readFileSync(join(parity, name, "config.json"), "utf8"))
      for (const tower of ["text_config", "vision_config"])
        for (const key of ["hidden_size", "hidden_act", "layer_norm_eps", "num_attention_heads", "model_type"])
          expect(ours[tower][key]).toEqual(theirs[tower][key])
      expect(ours.architectures).toEqual(theirs.architectures)
    }
  )

  it.each(["clip_gelu", "blip_itm"])("write the tokenizer.json that tokenizers wrote: %s", async (name) => {
    const read = await run(readCheckpointFolder(join(parity, name)))
    const folder = join(scratch, `${++copies}`)
    await run(exportHuggingFace({ ...read, vocabulary: read.vocabulary! }, folder))
    const [ours, theirs] = [folder, join(parity, name)].map((each) =>
      JSON.parse(readFileSync(join(each, "tokenizer.json"), "utf8"))
    )
    // tokenizers writes defaults out, and merges as pairs where it once wrote words.
    const words = (merges: ReadonlyArray<string | ReadonlyArray<string>> | undefined) =>
      merges?.map((merge) => (typeof merge === "string" ? merge : merge.join(" ")))
    expect({ ...theirs, model: undefined }).toMatchObject({ ...ours, model: undefined })
    // tokenizers keeps [DEC] and [ENC] beside the vocabulary, which is as good.
    expect(ours.model.vocab).toMatchObject(theirs.model.vocab)
    expect(words(ours.model.merges)).toEqual(words(theirs.model.merges))
    const { vocab: _, merges: __, ...settings } = ours.model
    expect(theirs.model).toMatchObject(settings)
  })

  it("write a model with all of MED's roles as either class", async () => {
    const model = modelFromConfig(preset("blip", "nano", { vocab_size: 12 }))
    const vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n[DEC]\n[ENC]\na\nred\ndog\nand\ncat\n"
    const weights = Object.fromEntries(
      Object.entries(model.init(3)).map(([name, data]) => [
        name,
        { shape: model.shapes[name]!, dtype: "float32" as const, data }
      ])
    )
    for (const as of ["BlipForConditionalGeneration", "BlipForImageTextRetrieval"] satisfies Array<HuggingFaceClass>) {
      const folder = join(scratch, `${++copies}`)
      await run(exportHuggingFace({ model, weights, vocabulary }, folder, { as }))
      const back = await run(readCheckpointFolder(folder))
      const kept = Object.keys(weights).filter((name) => !back.missing.includes(name))
      for (const name of kept) expect(back.weights[name]!.data).toEqual(weights[name]!.data)
      expect(kept.length).toBeGreaterThan(40)
    }
    const wrong = exportHuggingFace({ model, weights, vocabulary }, join(scratch, "never"), { as: "CLIPModel" })
    await expect(run(wrong)).rejects.toThrow("can't be written as CLIPModel")
  })

  it.each([
    ["float16", "F16", toFloat16],
    ["bfloat16", "BF16", toBfloat16]
  ] as const)("write %s, rounded once", async (dtype, stored, narrowed) => {
    const read = await run(readCheckpointFolder(join(parity, "clip_gelu")))
    const folder = join(scratch, `${++copies}`)
    await run(exportHuggingFace({ ...read, vocabulary: read.vocabulary! }, folder, { dtype }))
    const tensors = await tensorsOf(join(folder, "model.safetensors"))
    const back = await run(readCheckpointFolder(folder))
    expect(JSON.parse(readFileSync(join(folder, "config.json"), "utf8")).dtype).toBe(dtype)
    for (const [name, { data }] of Object.entries(read.weights)) {
      const narrow = narrowed(data as Float32Array)
      expect(tensors[name]!.dtype).toBe(stored)
      expect(tensors[name]!.data).toEqual(new Uint8Array(narrow.buffer))
      expect(narrowed(back.weights[name]!.data as Float32Array)).toEqual(narrow)
    }
  })

  it("write shards that are read back the same", async () => {
    const read = await run(readCheckpointFolder(join(parity, "clip_gelu")))
    const folder = join(scratch, `${++copies}`)
    await run(exportHuggingFace({ ...read, vocabulary: read.vocabulary! }, folder, { max_shard_bytes: 50_000 }))
    const { metadata, weight_map } = JSON.parse(readFileSync(join(folder, "model.safetensors.index.json"), "utf8"))
    const files = [...new Set<string>(Object.values(weight_map))]
    expect(files.length).toBeGreaterThan(2)
    expect(files[0]).toBe(`model-00001-of-${String(files.length).padStart(5, "0")}.safetensors`)
    expect(metadata.total_size).toBe(Object.values(read.weights).reduce((sum, { data }) => sum + data.byteLength, 0))
    expect((await run(readCheckpointFolder(folder))).weights).toEqual(read.weights)
  })

  it("read tokenizer.json where there is nothing else", async () => {
    for (const [name, files] of [
      ["clip_gelu", ["vocab.json", "merges.txt"]],
      ["blip_itm", ["vocab.txt"]]
    ] as const) {
      const expected = await run(readCheckpointFolder(join(parity, name)))
      const folder = copyOf(name)
      for (const file of files) rmSync(join(folder, file))
      const { tokenizer } = await run(readCheckpointFolder(folder))
      const text = "it's two dogs [SEP] caf\u00e9 \u4e00\u5f20"
      expect([...tokenizer!.encode(text, 77)]).toEqual([...expected.tokenizer!.encode(text, 77)])
    }
  })

  it("read shards by their index", async () => {
    const folder = copyOf("clip_gelu")
    const tensors = Object.entries(await tensorsOf(join(folder, "model.safetensors")))
    const expected = await run(readCheckpointFolder(folder))
    rmSync(join(folder, "model.safetensors"))
    const weight_map: Record<string, string> = {}
    for (const part of [0, 1, 2]) {
      const file = `model-0000${part + 1}-of-00003.safetensors`
      const own = tensors.filter((_, i) => i % 3 === part)
      for (const [name] of own) weight_map[name] = file
      await run(writeSafetensors(join(folder, file), Object.fromEntries(own)))
    }
    const index = join(folder, "model.safetensors.index.json")
    writeFileSync(index, JSON.stringify({ metadata: {}, weight_map }))
    expect((await run(readCheckpointFolder(folder))).weights).toEqual(expected.weights)
    writeFileSync(index, JSON.stringify({ weight_map: { ...weight_map, logit_scale: "../model.safetensors" } }))
    expect(await failureOf(folder)).toContain('puts logit_scale into "../model.safetensors"')
    writeFileSync(index, JSON.stringify({ weight_map: { ...weight_map, other: "model-00001-of-00003.safetensors" } }))
    expect(await failureOf(folder)).toContain("has no tensor other")
  })
})

describe("a folder that can't be used", () => {
  const cases: ReadonlyArray<readonly [string, (config: any) => void, string]> = [
    ["clip_gelu", (config) => (config.architectures = ["FlavaModel"]), "architectures: expected one of CLIPModel"],
    ["clip_gelu", (config) => (config.model_type = "flava"), 'model_type: expected "clip" or "blip" or "siglip"'],
    ["clip_gelu", (config) => (config.text_config.hidden_act = "mish"), "text_config.hidden_act: expected"],
    ["clip_gelu", (config) => (config.vision_config.num_channels = 1), "vision_config.num_channels: expected 3"],
    ["clip_gelu", (config) => (config.vision_config.num_hidden_layers = 2), "no weight of this config is filled from"],
    ["clip_gelu", (config) => (config.vision_config.num_hidden_layers = 4), "the checkpoint has no tensor for"],
    ["clip_gelu", (config) => (config.projection_dim = 41), "the config makes visual_projection.weight [41,48]"],
    [
      "siglip_model",
      (config) => (config.vision_config.vision_use_head = false),
      "vision_config.vision_use_head: expected true"
    ],
    [
      "siglip_model",
      (config) => (config.text_config.projection_size = 8),
      "projection_size: expected vision_config.hidden_size 12"
    ],
    ["blip_itm", (config) => (config.quantization_config = { bits: 4 }), "quantization_config: expected nothing"],
    ["blip_itm", (config) => (config.text_config.position_embedding_type = "relative_key"), "position_embedding_type"],
    [
      "blip_caption",
      (config) => (config.text_config.num_attention_heads = 5),
      "num_attention_heads: expected a divisor"
    ]
  ]
  it.each(cases)("names the key: %s, %#", async (name, edit, message) => {
    expect(await failureOf(editConfig(copyOf(name), edit))).toContain(message)
  })

  const openClip: ReadonlyArray<readonly [(config: any) => void, string]> = [
    [(config) => (config.vision_cfg.timm_model_name = "vit"), 'vision_cfg.timm_model_name: "vit" is not supported'],
    [(config) => (config.text_cfg.hf_model_name = "roberta"), 'text_cfg.hf_model_name: "roberta" is not supported'],
    [(config) => (config.vision_cfg.layers = [3, 4, 6, 3]), "vision_cfg.layers: a ResNet tower is not supported"],
    [(config) => (config.init_logit_bias = -10), "the checkpoint has no tensor for logit_bias"],
    [(config) => (config.preprocess_cfg = { resize_mode: "squash" }), "resize_mode: expected"]
  ]
  it.each(openClip)("names open_clip's key: %#", async (edit, message) => {
    const folder = copyOf("openclip_tiny")
    expect(await failureOf(editConfig(folder, edit, "open_clip_config.json"))).toContain(message)
  })

  it("names an image setting that isn't implemented", async () => {
    const settings = "preprocessor_config.json"
    const edited = (edit: (config: any) => void) => editConfig(copyOf("clip_gelu"), edit, settings)
    expect(await failureOf(edited((config) => (config.resample = 2)))).toContain("resample: expected 3, got 2")
    expect(await failureOf(edited((config) => (config.size = { shortest_edge: 36 })))).toContain("size: expected 32")
    const { model } = await run(readCheckpointFolder(edited((config) => (config.image_mean = [0.5, 0.5, 0.5]))))
    expect(model.preprocess.image_mean).toEqual([0.5, 0.5, 0.5])
    expect(modelFromConfig(model.config).preprocess.image_mean).toEqual([0.5, 0.5, 0.5])
  })

  it("is refused when its weights are pickled, and when there are none", async () => {
    const folder = copyOf("clip_gelu")
    renameSync(join(folder, "model.safetensors"), join(folder, "pytorch_model.bin"))
    expect(await failureOf(folder)).toContain("pytorch_model.bin is a pickle")
    rmSync(join(folder, "pytorch_model.bin"))
    expect(await failureOf(folder)).toContain("expected model.safetensors")
    rmSync(join(folder, "config.json"))
    expect(await failureOf(folder)).toContain("expected config.json or open_clip_config.json")
  })

  it("is refused when its weights are cut or hold something else", async () => {
    const folder = copyOf("clip_gelu")
    const file = join(folder, "model.safetensors")
    const bytes = readFileSync(file)
    writeFileSync(file, bytes.subarray(0, bytes.length - 7))
    expect(await failureOf(folder)).toContain("safetensors file not valid")
    const parts = encodeSafetensors({ x: { dtype: "F32", shape: [1], data: Float32Array.of(1) } })
    writeFileSync(file, Buffer.concat(parts))
    expect(await failureOf(folder)).toContain("the checkpoint has no tensor for")
  })
})
