/** What the training graphs of CLIP and BLIP are made of: that the rewrites find their patterns there, and what they save. */
import type { Specs } from "@bootlace/engine"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { peakBytes } from "../../engine/test/PeakBytes.ts"
import { leanStepGraph } from "../../engine/src/Compile.ts"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { composeTraining, livingGraph } from "../src/tensor/TrainingProgram.ts"
import { runIn } from "./inMemory.ts"
import { newModel } from "./tinyPairs.ts"
import { trainingGraph } from "./trainingGraph.ts"

const B = 8
const T = 8

const graphOf = async (architecture: "clip" | "blip", memory?: "low") => {
  const opened = await runIn({}, readModel("test", await newModel(architecture)))
  const objectives = architecture === "blip" ? ["itc", "itm", "lm"] : ["itc"]
  const { graph } = await trainingGraph({ objectives, steps: 1 })
  const { program, feeds } = composeTraining("Train", await Effect.runPromise(livingGraph(graph)), opened, B)
  const weights: Specs = Object.fromEntries(
    Object.entries(opened.model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32" }])
  )
  const twin = Object.fromEntries(program.twin.map((name) => [name, weights[name]!]))
  const fed = feeds({ seed: 1, node: "train", step: 0, batch_size: B, first: 0, count: B, epoch: 0 })
  const inputs: Specs = {
    "pairs.image": { shape: [B, 3, 16, 16], dtype: "float32" },
    "pairs.text.input_ids": { shape: [B, T], dtype: "int32" },
    "pairs.text.attention_mask": { shape: [B, T], dtype: "int32" },
    ...Object.fromEntries(Object.entries(fed).map(([name, { shape, dtype }]) => [name, { shape, dtype }]))
  }
  const own = { weights, frozen: {}, twin, ema: {}, state: program.state }
  return leanStepGraph(memory === undefined ? program : { ...program, memory }, own, inputs, 0.995)
}

const counts = async (...of: Parameters<typeof graphOf>) => {
  const { values } = await graphOf(...of)
  return (op: string) => values.filter((value) => value.op === op).length
}

describe("training graphs", () => {
  it.each(["clip", "blip"] as const)("of %s compute activations again", async (architecture) => {
    const [kept, low] = [await counts(architecture), await counts(architecture, "low")]
    const activation = architecture === "clip" ? "QuickGelu" : "Gelu"
    expect(
      [activation, "LayerNormalization", "Softmax", "MatMul"].map((op) => [op, kept(op), low(op)])
    ).toMatchSnapshot()
    const bytes = await Promise.all([graphOf(architecture), graphOf(architecture, "low")])
    const [most, least] = bytes.map(peakBytes) as [number, number]
    expect(least / most).toBeLessThan(0.75)
  })

  it.each([
    ["clip", 3],
    ["blip", 2]
  ] as const)("of %s have attention's scale in its products", async (architecture, times) => {
    const { values } = await graphOf(architecture)
    const rank4 = values.filter(({ shape }) => shape.length === 4)
    const attentions = rank4.filter(({ op }) => op === "Softmax").length
    // The scores, and two products of the backward pass, which BLIP's twin has none of.
    const scaled = rank4.filter(({ attributes }) => attributes["alpha"] !== undefined).length
    expect(attentions).toBeGreaterThan(1)
    expect(scaled).toBeGreaterThanOrEqual(times * attentions)
    const multiples = rank4.filter(({ op, inputs }) => op === "Mul" && inputs[1]!.op === "Splat")
    expect(multiples.filter(({ inputs }) => ["Transpose", "MatMul"].includes(inputs[0]!.op))).toEqual([])
  })

  it("of blip let the parts of shared weights' gradients come in the backward pass's order", async () => {
    const { order, ...unordered } = await graphOf("blip", "low")
    // Whole after whole, they would hold the activations of all losses.
    expect(peakBytes(unordered) / peakBytes({ ...unordered, order: order! })).toBeGreaterThan(1.1)
    // Without its sums, the image tokens' gradient would hold what each layer of cross-attention gives it.
    const parts = order!.filter(({ op }) => op !== "Add")
    expect(peakBytes({ ...unordered, order: parts }) / peakBytes({ ...unordered, order: order! })).toBeGreaterThan(1.1)
  })

  it("of blip have no distribution over the vocabulary, and project each image once for three texts", async () => {
    const { values } = await graphOf("blip")
    const of = (op: string) => values.filter((value) => value.op === op)
    expect(of("AddAt")).toHaveLength(1)
    const V = of("AddAt")[0]!.shape[1]
    expect(of("LogSoftmax").filter(({ shape }) => shape[1] === V)).toHaveLength(1)
    expect(of("Equal").filter(({ shape }) => shape.at(-1) === V)).toHaveLength(0)
    const rows = (value: { inputs: ReadonlyArray<{ shape: ReadonlyArray<number> }> }) => value.inputs[0]!.shape[0]
    const N = 5
    expect(of("MatMul").filter((value) => value.shape.length === 2 && rows(value) === 3 * B * N)).toHaveLength(0)
    expect(of("MatMul").filter((value) => value.shape.length === 2 && rows(value) === B * N).length).toBeGreaterThan(10)
  })
})
