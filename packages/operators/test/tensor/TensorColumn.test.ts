import { textColumn } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
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

describe("bucketOf", () => {
  it("is the smallest bucket that holds the text, at most what the model holds", () => {
    expect([1, 8, 9, 30, 31, 78].map((length) => bucketOf(length, 512))).toEqual([8, 8, 12, 30, 40, 96])
    expect(bucketOf(14, 16)).toBe(16)
    expect(bucketOf(10, 10)).toBe(10)
  })
})
