import { rowIdHex, rowIdsOf, tensorColumn, textColumn } from "@bootlace/data"
import type { NodeError } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import { RetrievalRecall } from "../src/RetrievalRecall.ts"
import { operatorContract } from "./contract.ts"
import { failureOf, rowsOf, runFold, runIn } from "./inMemory.ts"
import type { Columns } from "./inMemory.ts"

const embeds = (rows: ReadonlyArray<ReadonlyArray<number>>) =>
  tensorColumn(Float32Array.from(rows.flat()), [rows[0]!.length])

const axes = [
  [1, 0, 0, 0],
  [0, 1, 0, 0],
  [0, 0, 1, 0],
  [0, 0, 0, 1]
]
const columns = {
  image_embeds: embeds(axes),
  text_embeds: embeds([axes[0]!, [0, 2, 0.1, 0], [0, 1, 0.5, 0], axes[3]!]),
  group: textColumn(["a", "b", "c", "d"])
}

operatorContract(RetrievalRecall, {
  columns,
  nulls: { ...columns, group: textColumn(["a", null, "c", "d"]) },
  badConfigs: [{ config: { k: 3 }, names: /k/ }]
})

const run = async (rows: Columns) => runIn({}, runFold(RetrievalRecall, {}, [["rows", rowsOf(rows)]]))

describe("RetrievalRecall", () => {
  it("counts both ways, by cosine and not by length", async () => {
    const { metrics } = await run(columns)
    // Image 2 sees text 2 (0.45) before text 1 (0.05); text 2 is nearer to image 1 than to its own.
    expect(metrics).toMatchObject({ image_to_text_r1: 1, text_to_image_r1: 0.75, text_to_image_r5: 1 })
    expect(metrics["mean_recall"]).toBeCloseTo((1 + 1 + 1 + 0.75 + 1 + 1) / 6, 12)
  })

  it("takes any row of the group as right", async () => {
    const { metrics } = await run({ ...columns, group: textColumn(["a", "b", "b", "d"]) })
    expect(metrics).toMatchObject({ image_to_text_r1: 1, text_to_image_r1: 1 })
  })

  it("gives chance to a model that says the same of everything", async () => {
    const same = embeds(Array<ReadonlyArray<number>>(20).fill([1, 2]))
    const { metrics } = await run({ image_embeds: same, text_embeds: same })
    expect(metrics["image_to_text_r1"]).toBeCloseTo(1 / 20, 12)
    expect(metrics["text_to_image_r10"]).toBeCloseTo(1 / 2, 12)
  })

  it("shows the nearest texts of the first images", async () => {
    const { files } = await run(columns)
    const lines = new TextDecoder().decode(files["examples.jsonl"]).trimEnd().split("\n")
    const ids = rowIdsOf(rowsOf(columns))
    const second = JSON.parse(lines[1]!) as {
      row_id: string
      nearest: ReadonlyArray<{ row_id: string; score: number }>
    }
    expect(lines.length).toBe(4)
    expect(second.row_id).toBe(rowIdHex(ids, 1))
    expect(second.nearest.slice(0, 2).map((each) => each.row_id)).toEqual([rowIdHex(ids, 1), rowIdHex(ids, 2)])
    expect(second.nearest[0]!.score).toBeCloseTo(2 / Math.hypot(2, 0.1), 6)
  })

  it("equals a plain count over all pairs on 150 random rows", async () => {
    const random = Array.from({ length: 150 * 8 }, (_, i) => Math.sin(i * i + 1))
    const rows = (shift: number) =>
      Array.from({ length: 150 }, (_, r) => random.slice(r * 8, r * 8 + 8).map((x, i) => x + shift * Math.sin(r + i)))
    const [images, texts] = [rows(0), rows(0.6)]
    const unit = (row: ReadonlyArray<number>) => row.map((x) => x / Math.hypot(...row))
    const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>) =>
      unit(a).reduce((sum, x, i) => sum + x * unit(b)[i]!, 0)
    const right = images.map((image, i) => texts.filter((text) => dot(image, text) > dot(image, texts[i]!)).length)
    const { metrics } = await run({ image_embeds: embeds(images), text_embeds: embeds(texts) })
    for (const k of [1, 5, 10])
      expect(metrics[`image_to_text_r${k}`]).toBeCloseTo(right.filter((above) => above < k).length / 150, 12)
  })

  it("names a row whose embedding is no number, and models of two sizes", async () => {
    const fail = async (rows: Columns) =>
      (await failureOf({}, runFold(RetrievalRecall, {}, [["rows", rowsOf(rows)]]))) as NodeError
    const odd = embeds([...axes.slice(0, 3), [0, Number.NaN, 0, 0]])
    expect((await fail({ ...columns, text_embeds: odd })).message).toMatch(/R221.*row=3.*text_embeds/)
    const short = embeds(axes.map((row) => row.slice(1)))
    expect((await fail({ ...columns, text_embeds: short })).message).toMatch(/R225.*4 values.*3/)
  })
})
