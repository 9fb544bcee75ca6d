import { textColumn } from "@bootlace/data"
import { describe, expect, it } from "vitest"
import coco from "./reference/caption_metrics.json" with { type: "json" }
import { CaptionMetrics } from "../src/CaptionMetrics.ts"
import { operatorContract } from "./contract.ts"
import { rowsOf, runFold, runIn } from "./inMemory.ts"
import type { Columns } from "./inMemory.ts"

const columns = {
  caption: textColumn(["A red car.", "a dog on a beach", "sunflower", ""]),
  reference: textColumn(["a red car", "a dog runs on the beach", "tulip", "x ".repeat(5000)])
}

operatorContract(CaptionMetrics, {
  columns,
  nulls: { ...columns, reference: textColumn(["a", null, "b", "c"]) },
  badConfigs: [{ config: { n: 3 }, names: /n/ }]
})

const metricsOf = async (rows: Columns) =>
  (await runIn({}, runFold(CaptionMetrics, {}, [["rows", rowsOf(rows)]]))).metrics

describe("CaptionMetrics", () => {
  it("equals the COCO caption evaluation with one reference", async () => {
    const wanted = coco.one_reference
    const metrics = await metricsOf({
      caption: textColumn(wanted.images.map((image) => image.caption)),
      reference: textColumn(wanted.images.map((image) => image.references[0]!))
    })
    expect(metrics["bleu_4"]).toBeCloseTo(wanted.bleu_4, 12)
    expect(metrics["rouge_l"]).toBeCloseTo(wanted.rouge_l, 12)
    expect(metrics["cider_d"]).toBeCloseTo(wanted.cider_d, 10)
  })

  it("equals it with two references of every image, in rows of one group", async () => {
    const images = coco.several_references.images.filter((image) => image.references.length === 2)
    const rows = images.flatMap((image, i) =>
      image.references.map((reference) => ({ ...image, reference, group: `${i}` }))
    )
    const grouped = await metricsOf({
      caption: textColumn(rows.map((row) => row.caption)),
      reference: textColumn(rows.map((row) => row.reference)),
      group: textColumn(rows.map((row) => row.group))
    })
    const ungrouped = await metricsOf({
      caption: textColumn(rows.map((row) => row.caption)),
      reference: textColumn(rows.map((row) => row.reference))
    })
    expect(grouped["rouge_l"]).toBeGreaterThan(ungrouped["rouge_l"]!)
    const each = coco.several_references.rouge_l_each
    const wanted = coco.several_references.images.flatMap((image, i) =>
      image.references.length === 2 ? [each[i]!] : []
    )
    expect(grouped["rouge_l"]).toBeCloseTo(wanted.reduce((a, b) => a + b, 0) / wanted.length, 12)
  })

  it("counts a missing caption as empty", async () => {
    const metrics = await metricsOf({ caption: textColumn([null, "a cat"]), reference: textColumn(["a dog", "a cat"]) })
    expect(metrics).toMatchObject({ token_f1: 0.5 })
  })
})
