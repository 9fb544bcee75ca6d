import { Files, floatsOf, tensorColumn, textColumn } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { TextEncoder as TextEncoderOperator } from "../src/TextEncoder.ts"
import { InitModel } from "../src/InitModel.ts"
import published from "../src/templates/clip.json" with { type: "json" }
import { ZeroShotClassifier } from "../src/ZeroShotClassifier.ts"
import { operatorContract } from "./contract.ts"
import { artifactOf, contextOf, rowsOf, runFold, runIn } from "./inMemory.ts"
import { readCase, tensorsOfCase } from "./parityCase.ts"
import { eager, newModel, onnx, texts } from "./tinyPairs.ts"

const model = await newModel("clip")
const given = { artifacts: { model }, layer: eager }
const image_embeds = tensorColumn(
  Float32Array.from({ length: 4 * 16 }, (_, i) => Math.cos(i)),
  [16]
)

operatorContract(ZeroShotClassifier, {
  ...given,
  config: { templates: ["a {label}"], batch_size: 4 },
  columns: { image_embeds, class_name: textColumn(["red", "blue", "red", "green"]) },
  nulls: { image_embeds, class_name: textColumn(["red", null, "red", "green"]) },
  badConfigs: [
    { config: { templates: ["a photo"] }, names: /expected {label}.*\n.*templates/ },
    { config: { templates: [] }, names: /templates/ },
    { config: { templates: "clip_81" }, names: /templates/ }
  ]
})

const embed = (all: ReadonlyArray<string>) =>
  runIn(
    given,
    Effect.gen(function* () {
      const body = yield* TextEncoderOperator.body.open((yield* contextOf(TextEncoderOperator, given)) as never)
      return floatsOf((yield* body(rowsOf({ text: textColumn(all) }))).columns["text_embeds"]!)
    })
  )

const classify = async (columns: Parameters<typeof rowsOf>[0], config: object) => {
  const { metrics, files } = await runIn(
    given,
    runFold(ZeroShotClassifier, { ...given, config }, [["rows", rowsOf(columns)]])
  )
  const lines = new TextDecoder().decode(files["examples.jsonl"]).trim().split("\n")
  return { metrics, examples: lines.map((line) => JSON.parse(line)) }
}

describe("ZeroShotClassifier", () => {
  const classes = texts.slice(0, 8)
  const templates = ["a photo of {label}", "{label}"]

  it("finds every class whose image has the embedding of its prompts' mean", async () => {
    const [photo, bare] = [await embed(classes.map((label) => `a photo of ${label}`)), await embed(classes)]
    const mean = photo.map((value, i) => 5 * (value + bare[i]!))
    const columns = { image_embeds: tensorColumn(mean, [16]), class_name: textColumn(classes) }
    const { metrics, examples } = await classify(columns, { templates })
    expect(metrics).toEqual({ top1: 1, top5: 1, num_classes: 8, chance: 1 / 8, rows: 8 })
    expect(examples[0]).toMatchObject({
      class_name: classes[0],
      predicted: [{ class_name: classes[0], score: expect.closeTo(1, 5) }, {}, {}, {}, {}]
    })
  })

  it("counts a wrong nearest class against top1 only", async () => {
    const bare = await embed(classes)
    const names = [classes[1]!, classes[0]!, ...classes.slice(2)]
    const columns = { image_embeds: tensorColumn(bare, [16]), class_name: textColumn(names) }
    const { metrics } = await classify(columns, { templates: ["{label}"] })
    expect(metrics["top1"]).toBe(6 / 8)
  })

  it("refuses embeddings of another size", async () => {
    const columns = { image_embeds: tensorColumn(new Float32Array(8).fill(1), [4]), class_name: textColumn(["a", "b"]) }
    await expect(classify(columns, {})).rejects.toThrow(/R225.*4 values a row.*16/)
  })

  it("scores classes as PyTorch does, by the mean of unit embeddings", async () => {
    const { classes: names, templates: theirs } = readCase("openclip_tiny/zeroshot.json")
    const features = await tensorsOfCase("openclip_tiny/expected_forward.safetensors")
    const { logits } = await tensorsOfCase("openclip_tiny/expected_zeroshot.safetensors")
    const path = new URL("../../../test/parity/openclip_tiny", import.meta.url).pathname
    const init = { config: { architecture: "clip", path }, layer: Files.layer }
    const openClip = artifactOf("model", (await runIn(init, runFold(InitModel, init, []))).files)
    const images = features["image_features"]!
    const rows = logits!.length / names.length
    const class_name = textColumn(Array.from({ length: rows }, (_, row) => names[row % names.length]!))
    const at = { artifacts: { model: openClip }, layer: onnx }
    const config = { templates: theirs.map((each: string) => each.replaceAll("{}", "{label}")) }
    const columns = { image_embeds: tensorColumn(images, [images.length / rows]), class_name }
    const { files } = await runIn(at, runFold(ZeroShotClassifier, { ...at, config }, [["rows", rowsOf(columns)]]))
    const lines = new TextDecoder().decode(files["examples.jsonl"]).trim().split("\n")
    lines.forEach((line, row) => {
      for (const { class_name: name, score } of JSON.parse(line).predicted)
        expect(Math.abs(100 * score - logits![row * names.length + names.indexOf(name)]!)).toBeLessThan(1e-3)
    })
    expect(lines.length).toBe(rows)
  })
})

describe("CLIP's published prompts", () => {
  it("are eighty different ones, seven of them the short set", () => {
    expect(new Set(published.clip_80).size).toBe(80)
    expect(new Set(published.clip_7).size).toBe(7)
    for (const each of published.clip_7) expect(published.clip_80).toContain(each)
    for (const each of published.clip_80) expect(each.split("{label}").length).toBe(2)
  })

  it.each(["clip_7", "clip_80"] as const)("are what their name stands for: %s", async (name) => {
    const names = texts.slice(0, 4)
    const columns = { image_embeds, class_name: textColumn(names) }
    expect(await classify(columns, { templates: name })).toEqual(
      await classify(columns, { templates: published[name] })
    )
  })
})
