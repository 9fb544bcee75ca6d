/**
 * R18: batches with nothing to learn from: one row, captions all alike, an embedding of length zero, an empty caption, one of
 * 512 tokens; a filter that keeps none or all. Each gives finite numbers or an error that says what is wrong; never NaN.
 */
import { floatsOf, imageColumn, textColumn } from "@bootlace/data"
import type { Artifact, Batch, Metrics } from "@bootlace/graph"
import { ImageEncoder, Train } from "@bootlace/operators"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { contextOf, rowsOf, runIn } from "../../packages/operators/test/inMemory.ts"
import { images, newModel, onnx, pairs, texts } from "../../packages/operators/test/tinyPairs.ts"
import { trainingContext, withWeight } from "../../packages/operators/test/tinyTraining.ts"
import { trainingGraph } from "../../packages/operators/test/trainingGraph.ts"
import { simulate } from "./simulated.ts"
import { figure } from "./torture.ts"

const blip = await newModel("blip")
const clip = await newModel("clip")

/** The model with all numbers of one weight zero. */
const without = (model: Artifact, weight: string): Promise<Artifact> =>
  withWeight(model, weight, (numbers) => void numbers.fill(0))

/** Three steps: their metrics, or what they failed with. */
const trained = async (init: Artifact, objectives: ReadonlyArray<string>, batch_size: number, rows: Batch) => {
  const { graph, config } = await trainingGraph({ objectives, steps: 3, batch_size })
  const steps = Effect.gen(function* () {
    const training = yield* Train.body.open(yield* trainingContext(init, config, graph, rows))
    const made: Array<Metrics> = []
    for (let step = 0; step < 3; step++) made.push(yield* training.step(step))
    return made
  })
  return runIn({ layer: onnx }, Effect.result(steps))
}

const all = ["itc", "itm", "lm"]
const four = (captions: ReadonlyArray<string>): Batch =>
  rowsOf({ image: imageColumn(images.slice(0, captions.length)), text: textColumn(captions) })
const alike = four(Array<string>(4).fill("a red square"))

const cases: ReadonlyArray<readonly [name: string, Artifact, ReadonlyArray<string>, number, Batch, "finite" | RegExp]> =
  [
    ["one row in ITC", clip, ["itc"], 1, pairs, /greater than or equal to 2\s+at \["batch_size"\]/],
    ["one row in ITM", blip, all, 1, pairs, /greater than or equal to 2\s+at \["batch_size"\]/],
    ["captions all alike", blip, all, 4, alike, "finite"],
    ["a caption of 512 tokens", blip, all, 4, four([Array(512).fill("red").join(" "), ...texts.slice(1, 4)]), "finite"],
    ["an empty caption", blip, all, 4, four(["", ...texts.slice(1, 4)]), /R302.*row [0-9a-f]{32}/],
    [
      "embeddings of length zero",
      await without(clip, "visual_projection.weight"),
      ["itc"],
      4,
      pairs,
      /R301.*gradient.*rows: [0-9a-f]{32}/
    ]
  ]

describe("degenerate batches", () => {
  it("R18: give finite numbers or an error that says what is wrong", async () => {
    const told: Array<string> = []
    for (const [name, init, objectives, batch_size, rows, expected] of cases) {
      const result = await trained(init, objectives, batch_size, rows)
      if (result._tag === "Success") {
        for (const metrics of result.success) {
          for (const [key, value] of Object.entries(metrics)) assert.isTrue(Number.isFinite(value), `${name}: ${key}`)
        }
        told.push(`${name}: finite`)
        assert.strictEqual(expected, "finite", name)
      } else {
        const { message } = result.failure as Error
        assert.notStrictEqual(expected, "finite", `${name}: ${message}`)
        assert.match(message, expected as RegExp, name)
        told.push(`${name}: ${/R\d{3}/.exec(message)?.[0] ?? "refused"}`)
      }
    }
    figure("R18", told.join("; "))
  })

  it("R18: an embedding of length zero stays zero", async () => {
    const model = await without(clip, "visual_projection.weight")
    const embedded = Effect.gen(function* () {
      const body = yield* ImageEncoder.body.open((yield* contextOf(ImageEncoder, { artifacts: { model } })) as never)
      return floatsOf((yield* body(rowsOf({ image: imageColumn(images.slice(0, 2)) }))).columns["image_embeds"]!)
    })
    assert.isTrue([...(await runIn({ layer: onnx }, embedded))].every((value) => value === 0))
  })

  it.each([
    ["none", 2, 0],
    ["all", -1, 24]
  ])("R18: a filter may keep %s", async (_, from, kept) => {
    const yaml = `
version: 1
name: filter
seed: 1
nodes:
  rows:  { op: Numbers, shards: 2, rows: 12 }
  split: { op: Split, in: { value: rows.value, text: rows.text }, from: ${from} }
  size:  { op: Measure, in: { text: split.high.text } }
  sum:   { op: Sum, in: { score: size.length } }
  both:  { op: Concat, in: { rows: [split.high, split.low] } }
  again: { op: Sum, in: { score: both.value } }
`
    const { record, error } = await simulate(makeMemoryDisk().files, yaml)
    assert.strictEqual(error, "")
    assert.strictEqual(record!.metrics["sum.rows"], kept)
    assert.strictEqual(record!.metrics["again.rows"], 24)
    for (const value of Object.values(record!.metrics)) assert.isTrue(Number.isFinite(value))
  })
})
