import { flagColumn, scoreColumn, textColumn } from "@bootlace/data"
import { NodeError, readPipeline } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import { Effect } from "effect"
import { Filter } from "../src/Filter.ts"
import { operators } from "../src/registry.ts"
import { encodeThreshold } from "../src/Threshold.ts"
import { operatorContract } from "./contract.ts"
import { artifactOf, contextOf, rowsOf, runIn } from "./inMemory.ts"
import type { Columns, Given } from "./inMemory.ts"

const scores = Float32Array.of(0.9, 0.12, 0.5, 0.4999, 0.7, 0.5)
const columns: Columns = {
  text: textColumn(["a cat", "a dog", null, "x".repeat(10_000), "a cat", ""]),
  match_probability: scoreColumn(scores),
  matched: flagColumn([true, false, true, true, false, true])
}
const half = { keep: { match_probability: { at_least: 0.5 } } }

const routed = (config: unknown, rows = columns, given: Given = {}) =>
  runIn(
    given,
    Effect.gen(function* () {
      const body = yield* Filter.body.open(yield* contextOf(Filter, { ...given, config }))
      return yield* body(rowsOf(rows))
    })
  )

operatorContract(Filter, {
  config: half,
  columns,
  badConfigs: [
    { config: {}, names: /keep/ },
    { config: { keep: {} }, names: /expected a column and its rule/ },
    { config: { keep: { match_probability: {} } }, names: /match_probability[\s\S]*|expected at_least/ },
    { config: { keep: { match_probability: { top: 2 } } }, names: /top/ },
    { config: { keep: { a: { top: 0.1 }, b: { top: 0.1 } } }, names: /a and b/ },
    { config: { keep: { a: { at_leats: 0.1 } } }, names: /at_leats/ },
    { config: { ...half, thresold: 1 }, names: /thresold/ }
  ]
})

describe("Filter by bounds", () => {
  it("keeps scores from the bound up and says why the others went", async () => {
    const { ports, reasons } = await routed(half)
    expect([...ports]).toEqual([0, 1, 0, 1, 0, 0])
    expect(reasons).toEqual([
      { row: 1, reason: "match_probability 0.12 < 0.5", score: Math.fround(0.12) },
      { row: 3, reason: "match_probability 0.4999 < 0.5", score: Math.fround(0.4999) }
    ])
  })

  it("compares in float32, so a score written as 0.9 is at least 0.9 and at most 0.9", async () => {
    const { ports } = await routed({ keep: { match_probability: { at_least: 0.9, at_most: 0.9 } } })
    expect([...ports]).toEqual([0, 1, 1, 1, 1, 1])
  })

  it("gives the first rule that a row broke", async () => {
    const { reasons } = await routed({ keep: { match_probability: { at_most: 0.6 }, text: { equals: "a dog" } } })
    expect(reasons[0]!.reason).toBe("match_probability 0.9 > 0.6")
    expect(reasons[1]!.reason).toBe('text null is not "a dog"')
  })

  it("names the row of a score that is not a number", async () => {
    const bad = { ...columns, match_probability: scoreColumn(Float32Array.of(1, Number.NaN, 1, 1, 1, 1)) }
    const error = await routed(half, bad).catch((cause: unknown) => cause)
    expect(error).toBeInstanceOf(NodeError)
    expect(String(error)).toMatch(/error\[R221\].*row=1 .*match_probability of row [0-9a-f]{32} is not a number/)
  })

  it("names a column that keep reads and nobody wired", async () => {
    const error = await routed({ keep: { itc_score: { at_least: 0 } } }).catch((cause: unknown) => cause)
    expect(String(error)).toContain("keep names itc_score, but the columns wired are text, match_probability, matched")
  })
})

describe("Filter by share", () => {
  it("keeps what the threshold says, ties by row id", async () => {
    const ids = rowsOf(columns).getChild("row_id")!
    const tied = [ids.get(2), ids.get(5)].map((id: Uint8Array) => Buffer.from(id).toString("hex"))
    const threshold = { column: "match_probability", top: 0.5, value: 0.5, row_id: tied.toSorted()[0]! }
    const { name, bytes } = encodeThreshold(threshold)
    const artifacts = { threshold: artifactOf("threshold", { [name]: bytes }) }
    const { ports, reasons } = await routed({ keep: { match_probability: { top: 0.5 } } }, columns, { artifacts })
    const kept = [...ports.keys()].filter((row) => ports[row] === 0)
    expect(kept).toEqual([0, tied[0]! < tied[1]! ? 2 : 5, 4].toSorted((a, b) => a - b))
    expect(reasons[0]!.reason).toBe("match_probability 0.12 < 0.5, the last of the top 0.5")
  })
})

describe("Filter stands for other nodes", () => {
  const node = (wires: Record<string, string>, keep: unknown) => ({ op: "Filter", in: wires, config: { keep } })

  it("a model and a bound: encoder, ITM, decision", () => {
    const keep = { match_probability: { at_least: 0.5 } }
    const spec = node(
      { model: "filter.model", image: "web.image", text: "captions.caption", matched: "web.matched" },
      keep
    )
    expect(Filter.rewrite!(spec)).toEqual({
      as: "decision",
      nodes: {
        image: { op: "ImageEncoder", in: { image: "web.image", model: "filter.model" }, config: {} },
        itm: {
          op: "ITM",
          in: { image_tokens: "image.image_tokens", text: "captions.caption", model: "filter.model" },
          config: {}
        },
        decision: {
          op: "Filter",
          in: {
            image: "web.image",
            text: "captions.caption",
            matched: "web.matched",
            match_probability: "itm.match_probability"
          },
          config: { keep }
        }
      }
    })
  })

  it("a share: quantile, decision", () => {
    const rewritten = Filter.rewrite!(
      node({ image: "a.image", itc_score: "itc.itc_score" }, { itc_score: { top: 0.3 } })
    )!
    expect(rewritten.nodes["threshold"]).toEqual({
      op: "Quantile",
      in: { score: "itc.itc_score" },
      config: { column: "itc_score", top: 0.3 }
    })
    expect(rewritten.nodes["decision"]!.in).toEqual({
      image: "a.image",
      itc_score: "itc.itc_score",
      threshold: "threshold.threshold"
    })
  })

  it("a model and a share: all of them, and both scores when both are named", () => {
    const keep = { match_probability: { top: 0.5 }, itc_score: { at_least: 0.2 } }
    const { nodes } = Filter.rewrite!(node({ model: "m.model", image: "a.image", text: "a.text" }, keep))!
    expect(Object.keys(nodes)).toEqual(["image", "itm", "text", "itc", "threshold", "decision"])
    expect(nodes["threshold"]!.in).toEqual({ score: "itm.match_probability" })
    expect(Filter.rewrite!(nodes["decision"]!)).toBeUndefined()
  })

  it("stays as it is when everything is wired, or when its config is for the check to refuse", () => {
    expect(Filter.rewrite!(node({ match_probability: "itm.match_probability" }, half.keep))).toBeUndefined()
    expect(Filter.rewrite!(node({ model: "m.model" }, "everything"))).toBeUndefined()
  })
})

describe("Filter in a pipeline", () => {
  const pipeline = (keep: string) => `
version: 1
name: filtered
models:
  blip: { architecture: blip, preset: micro, vocabulary: vocabulary }
nodes:
  web: { op: ReadPairs, path: web }
  vocabulary: { op: BuildVocabulary, in: { text: web.text } }
  clean: { op: Filter, model: blip, in: { image: web.image, text: web.text }, keep: ${keep} }
  written: { op: WriteShards, in: { image: clean.kept.image, score: clean.kept.match_probability } }
`
  const plan = (keep: string) =>
    Effect.runPromise(readPipeline(pipeline(keep), { file: "filtered.yaml", registry: operators }))

  it("with a model and a share becomes encoder, ITM, quantile and decision, whose ports are its own", async () => {
    const { nodes } = await plan("{ match_probability: { top: 0.5 } }")
    const ids = nodes.map(({ id, operator }) => `${id} ${operator.name}`)
    expect(ids).toEqual(
      expect.arrayContaining([
        "clean/image ImageEncoder",
        "clean/itm ITM",
        "clean/threshold Quantile",
        "clean Filter",
        "written WriteShards"
      ])
    )
    const kept = nodes.find(({ id }) => id === "clean")!.ports["kept"]
    expect(kept).toEqual({ image: "image", text: "text", match_probability: "score" })
  })

  it("has a wrong config told at its place", async () => {
    const error = await plan("{ match_probability: { at_leats: 0.5 } }").catch((cause: unknown) => cause)
    expect(String(error)).toMatch(/filtered\.yaml:9:\d+[\s\S]*at_leats[\s\S]*did you mean at_least/)
  })
})
