/** A part of a plan is the plan of a file that has no other nodes. */
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { only, type Plan, readPipeline } from "../src/index.ts"
import { operators as registry } from "./operators.ts"

const read = (nodes: ReadonlyArray<string>): Plan => {
  const head =
    "version: 1\nname: part\nmatrix: { seed: [1, 2] }\nmodels: { blip: { architecture: blip, preset: micro, vocabulary: vocabulary } }\n"
  const text = `${head}nodes:\n${nodes.map((node) => `  ${node}\n`).join("")}`
  return Effect.runSync(readPipeline(text, { file: "part.yaml", registry }))
}

const web = "web: { op: ReadPairs, path: data/web }"
const vocabulary = "vocabulary: { op: BuildVocabulary, in: { text: web.text } }"
const pretrain = "pretrain: { op: Train, init: blip, in: { pairs: web.pairs }, objectives: [itc, itm], steps: 8 }"
const clean =
  "clean: { op: Filter, model: pretrain.model, in: { image: web.image, text: web.text }, keep: { match_probability: { at_least: 0.5 } } }"
const retrain = "retrain: { op: Train, init: blip, in: { pairs: clean.kept }, objectives: [itc, itm], steps: 8 }"
const whole = read([web, vocabulary, pretrain, clean, retrain])

const part = (...names: ReadonlyArray<string>): Plan => {
  const found = only(whole, names)
  if ("_tag" in found) throw new Error(`no node ${found.name}`)
  return found
}
const ids = (plan: Plan): ReadonlyArray<string> => plan.nodes.map(({ id }) => id)

describe("only", () => {
  it("keeps a node in all its variants, and what it reads", () => {
    expect(part("pretrain").hash).toBe(read([web, vocabulary, pretrain]).hash)
    expect(ids(part("vocabulary"))).toEqual(["web", "vocabulary"])
  })

  it("takes what a shorthand stands for along", () => {
    expect(part("clean").hash).toBe(read([web, vocabulary, pretrain, clean]).hash)
    expect(ids(part("clean")).filter((id) => id.startsWith("clean/"))).not.toEqual([])
  })

  it("keeps one variant where one is named", () => {
    const one = ids(part("retrain[seed=2]"))
    expect(one).toContain("retrain[seed=2]")
    expect(one.filter((id) => id.includes("seed=1"))).toEqual([])
  })

  it("is the union of what is named, in the plan's order, and all of it the whole plan", () => {
    expect(ids(part("vocabulary", "clean"))).toEqual(ids(part("clean", "vocabulary")))
    expect(part("retrain").hash).toBe(whole.hash)
  })

  it("says which name no node has, and the nearest", () => {
    expect(only(whole, ["web", "cleen"])).toEqual({ _tag: "UnknownNode", name: "cleen", nearest: "clean" })
  })
})
