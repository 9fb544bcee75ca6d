import { it } from "@effect/vitest"
import { assert, describe, expect } from "vitest"
import { layout } from "../src/DagLayout.ts"
import { dagPicture } from "../src/DagPicture.ts"
import { quality } from "../src/FilterQuality.ts"
import { imageUri } from "../src/Gallery.ts"
import { renderPage } from "../src/Page.ts"
import { pivotTable, resultSets, resultsSection } from "../src/Results.ts"
import { measurements } from "../src/Variants.ts"
import type { Measured } from "../src/Variants.ts"
import { samplePage, sampleRecord, tinyGif } from "./Sample.ts"

const tags = (text: string): ReadonlyArray<string> => [...text.matchAll(/<([a-z0-9]+)[\s>]/g)].map((match) => match[1]!)

describe("Page", () => {
  it("is one file without scripts or addresses", () => {
    const page = renderPage(samplePage())
    assert.notInclude(tags(page), "script")
    assert.notMatch(page, /(?:src|href)="(?!data:|#)/)
    assert.notMatch(page, /url\((?!#)/)
    assert.notMatch(page, /\son[a-z]+=/)
    assert.include(page, "default-src &#39;none&#39;".replaceAll("&#39;", "'"))
  })

  it("escapes hostile captions and ids", () => {
    const sample = samplePage()
    const evil = `<img src=x onerror=alert(1)>`
    const record = { ...sample.record, pipeline: evil, run: evil, error: evil, metrics: { [`${evil}.r1`]: 1 } }
    const page = renderPage({ ...sample, record, command: evil, attribution: evil, notes: [evil] })
    assert.notInclude(page, "<img src=x")
    assert.include(page, "&lt;img src=x onerror=alert(1)&gt;")
    assert.notInclude(page, "<script>alert")
    assert.notInclude(page, "\u202e")
  })

  it("is the same for the same run", () => {
    assert.strictEqual(renderPage(samplePage()), renderPage(samplePage()))
  })

  it("shows a run that failed before any node", () => {
    const record = {
      ...sampleRecord(),
      status: "failed" as const,
      nodes: {},
      metrics: {},
      graph: [],
      error: "error[R101]"
    }
    const page = renderPage({ record, histories: [], filters: [], galleries: [], environment: [] })
    assert.include(page, "error[R101]")
    assert.notInclude(page, `id="results"`)
  })
})

describe("Results", () => {
  it("reads node, variant and seed out of a metric's name", () => {
    const found = measurements(sampleRecord()).find(
      (m) => m.node === "recall" && m.seed === "3" && m.variant === "both"
    )
    assert.strictEqual(found?.metric, "image_to_text_r1")
  })

  it("puts nodes with the same variants into one table", () => {
    const sets = resultSets(measurements(sampleRecord()))
    assert.deepStrictEqual(
      sets.map((set) => [set.variants.length, set.seeds.length, set.columns.length]),
      [
        [1, 0, 5],
        [4, 5, 5]
      ]
    )
    const recall = sets[1]!
    assert.deepStrictEqual(recall.variants, ["none", "filter", "captioner", "both"])
    assert.strictEqual(recall.values[0]![0]!.size, 5)
  })
})

describe("variants", () => {
  it("stand as the matrix has them, in whatever order their metrics came", () => {
    const record = sampleRecord()
    const metrics = Object.fromEntries(Object.entries(record.metrics).toReversed())
    const variantsOf = (data: ReadonlyArray<string>) =>
      resultSets(measurements({ ...record, metrics, axes: { seed: ["1"], data } })).find(
        (set) => set.variants.length > 1
      )!.variants
    for (const data of [
      ["none", "filter", "captioner", "both"],
      ["both", "none", "captioner", "filter"]
    ])
      assert.deepStrictEqual(variantsOf(data), data)
  })
})

describe("resultsSection", () => {
  const row = (variant: string, seed: string, value: number): Measured => ({
    node: "recall",
    op: "RetrievalRecall",
    evaluation: true,
    metric: "r1",
    variant,
    seed,
    value,
    order: 0
  })

  it("says what is not resolved, and draws a dot for every seed", () => {
    const noise = [0.01, -0.02, 0.015]
    const measured = ["1", "2", "3"].flatMap((seed, i) => [
      row("none", seed, 0.2),
      row("both", seed, 0.2 + noise[i]!),
      row("all", seed, 0.3 + 0.001 * i)
    ])
    const page = resultsSection(measured)!.text
    const cells = [...page.matchAll(/<tr>\s*<th scope="row">([^<]* \u2212 [^<]*)<\/th>([\s\S]*?)<\/tr>/g)]
    assert.deepStrictEqual(
      cells.map((cell) => [cell[1], cell[2]!.includes("not resolved")]),
      [
        ["both \u2212 none", true],
        ["all \u2212 none", false],
        ["all \u2212 both", false]
      ]
    )
    assert.strictEqual(page.match(/<circle/g)?.length, 9)
  })

  it("sorts metrics by the numbers in their names", () => {
    const named = ["r10", "r1", "r5"].map((metric) => ({ ...row("", "", 1), metric }))
    assert.deepStrictEqual(
      resultSets(named)[0]!.columns.map((column) => column.metric),
      ["r1", "r5", "r10"]
    )
  })

  it("puts trainings side by side", () => {
    const trained = [
      { ...row("", "", 2.5), node: "pretrain", op: "Train", metric: "itc_loss" },
      { ...row("", "", 1.5), node: "captioner", op: "Train", metric: "lm_loss" }
    ]
    const page = pivotTable(trained)!.text
    assert.match(page, /itc loss[\s\S]*lm loss[\s\S]*pretrain[\s\S]*2\.500[\s\S]*captioner[\s\S]*1\.500/)
  })
})

describe("DagPicture", () => {
  it("draws one box per node of the pipeline, whatever the matrix multiplies", () => {
    const record = sampleRecord()
    const picture = dagPicture(record.graph, record.nodes).text
    assert.strictEqual(picture.match(/<g class="node /g)?.length, 21)
    assert.include(picture, "×20</text")
  })

  it("has the same structure every time", () => {
    const graph = [
      { id: "web", op: "ReadPairs", kind: "source", axes: {}, inputs: [] },
      { id: "clean", op: "Filter", kind: "route", axes: {}, inputs: [{ input: "text", from: "web", port: "pairs" }] },
      {
        id: "words",
        op: "BuildVocabulary",
        kind: "fold",
        axes: {},
        inputs: [{ input: "text", from: "clean", port: "kept" }]
      }
    ]
    const node = { op: "", rows_in: 10, rows_out: 10, rejected: 0, cached: false, seconds: 1.25, artifact: "" }
    const nodes = {
      web: { ...node, ports: { pairs: 10 } },
      clean: { ...node, cached: true, ports: { kept: 7, rejected: 3 } }
    }
    expect(dagPicture(graph, nodes).text).toMatchSnapshot()
  })

  it("keeps fifty nodes on a page of readable width", () => {
    const nodes = Array.from({ length: 50 }, (_, i) => ({ id: `n${i}`, width: 120, height: 46 }))
    const edges = nodes.slice(1).map((node, i) => ({ from: `n${Math.floor(i / 2)}`, to: node.id, port: "rows" }))
    const { width } = layout(nodes, edges)
    assert.isBelow(width, 24 * 145)
  })
})

describe("FilterQuality", () => {
  it("counts precision and recall both ways", () => {
    const rows = [
      ...Array.from({ length: 6 }, () => ({ kept: true, flag: true, score: 0.9 })),
      ...Array.from({ length: 2 }, () => ({ kept: true, flag: false, score: 0.6 })),
      ...Array.from({ length: 3 }, () => ({ kept: false, flag: true, score: 0.4 })),
      ...Array.from({ length: 9 }, () => ({ kept: false, flag: false, score: 0.1 }))
    ]
    const q = quality({ name: "f", flagName: "matched", scoreName: "s", rows })
    assert.deepStrictEqual([q.rows, q.kept, q.matched], [20, 8, 9])
    assert.strictEqual(q.precision, 6 / 8)
    assert.strictEqual(q.recall, 6 / 9)
    assert.strictEqual(q.rejectedPrecision, 9 / 12)
    assert.strictEqual(q.rejectedRecall, 9 / 11)
    assert.approximately(q.auc!, (6 * 11 + 3 * 9) / 99, 1e-12)
  })
})

describe("Gallery", () => {
  it("takes the type of a picture from its bytes and refuses what is none", () => {
    assert.match(imageUri(tinyGif)!, /^data:image\/gif;base64,/)
    assert.isUndefined(imageUri(new TextEncoder().encode("<svg onload=alert(1)>")))
  })
})
