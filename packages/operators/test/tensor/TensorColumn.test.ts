import { Files, imageColumn, openSafetensors, textColumn } from "@bootlace/data"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { readCheckpointFolder } from "../../src/tensor/CheckpointFolder.ts"
import { readModel } from "../../src/tensor/ModelArtifact.ts"
import { bucketOf, cellsOf, collate } from "../../src/tensor/TensorColumn.ts"
import { runIn } from "../inMemory.ts"
import { newModel } from "../tinyPairs.ts"

describe("texts", async () => {
  const model = await runIn({}, readModel("test", await newModel("clip")))
  const tensorsOf = async (texts: ReadonlyArray<string>) => {
    const cells = await Effect.runPromise(Effect.all(cellsOf("text", textColumn(texts), model)))
    return collate("text", "pairs.text", cells as ReadonlyArray<Int32Array>, model)
  }

  it("are padded to the bucket of the longest of them", async () => {
    const tensors = await tensorsOf(["a red square", "red red red red red red red"])
    const { start, end, pad } = model.tokenizer
    expect(tensors["pairs.text.input_ids"]!.shape).toEqual([2, 12])
    const ids = [...tensors["pairs.text.input_ids"]!.data]
    expect(ids[0]).toBe(start)
    expect(ids.slice(5, 12)).toEqual(Array(7).fill(pad))
    expect(ids[4]).toBe(end)
    const mask = tensors["pairs.text.attention_mask"]!.data.slice(0, 12)
    expect(mask).toEqual(Int32Array.of(1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0))
  })

  it("are cut to the model's longest text, end token last", async () => {
    const { shape, data } = (await tensorsOf(["red ".repeat(100)]))["pairs.text.input_ids"]!
    expect(shape).toEqual([1, model.model.max_text_length])
    expect(data.at(-1)).toBe(model.tokenizer.end)
  })

  it("cannot end themselves", async () => {
    const { data } = (await tensorsOf(["red [SEP] square"]))["pairs.text.input_ids"]!
    expect([...data].filter((id) => id === model.tokenizer.end).length).toBe(1)
  })
})

describe("texts of SigLIP", () => {
  it("are padded to the full length, and padding is visible", async () => {
    const model = await runIn({}, readModel("test", await newModel("siglip")))
    const cells = await Effect.runPromise(Effect.all(cellsOf("text", textColumn(["a red square", "red"]), model)))
    const tensors = collate("text", "text", cells as ReadonlyArray<Int32Array>, model)
    expect(tensors["text.input_ids"]!.shape).toEqual([2, 16])
    expect(tensors["text.input_ids"]!.data.at(-1)).toBe(model.tokenizer.pad)
    expect(tensors["text.attention_mask"]!.data).toEqual(new Int32Array(32).fill(1))
  })
})

const parity = new URL("../../../../test/parity/", import.meta.url).pathname

describe("images of an imported model", () => {
  const cases = [
    ["clip_gelu", "expected_forward", "pixel_values_pil"],
    ["blip_itm", "expected_pixels", "pixel_values_pil"],
    ["siglip_model", "expected_forward", "pixel_values_pil"],
    ["openclip_tiny", "expected_forward", "pixel_values"]
  ] as const
  it.each(cases)("are the pixels that its library makes, alpha and palettes too: %s", async (folder, file, name) => {
    const names = readdirSync(`${parity}images`).sort()
    const images = names.map((path) => ({ bytes: readFileSync(`${parity}images/${path}`), path }))
    const checked = Effect.gen(function* () {
      const { model } = yield* readCheckpointFolder(parity + folder)
      const opened = { model, tokenizer: undefined as never, vocabulary: "" }
      const cells = yield* Effect.all(cellsOf("image", imageColumn(images), opened))
      const expected = yield* openSafetensors(`${parity}${folder}/${file}.safetensors`)
      const values = yield* expected.float32(name)
      const size = values.length / names.length
      return cells.map((cell, row) => {
        const wanted = values.subarray(row * size, (row + 1) * size)
        const errors = (cell as Float32Array).map((value, i) => Math.abs(value - wanted[i]!))
        return { name: names[row]!, worst: Math.max(...errors) }
      })
    })
    const worst = await Effect.runPromise(checked.pipe(Effect.scoped, Effect.provide(Files.layer)))
    // Decoders of JPEG differ by two grey levels.
    expect(worst.filter(({ name, worst }) => !(worst < (name.endsWith(".jpg") ? 0.03 : 1e-5)))).toEqual([])
  })
})

describe("bucketOf", () => {
  it("is the smallest bucket that holds the text, at most what the model holds", () => {
    expect([1, 8, 9, 30, 31, 78].map((length) => bucketOf(length, 512))).toEqual([8, 8, 12, 30, 40, 96])
    expect(bucketOf(14, 16)).toBe(16)
    expect(bucketOf(10, 10)).toBe(10)
  })
})
