import { floatsOf, textColumn } from "@bootlace/data"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { TextEncoder as Operator } from "../src/TextEncoder.ts"
import { operatorContract } from "./contract.ts"
import { contextOf, rowsOf, runIn } from "./inMemory.ts"
import { eager, newModel, onnx, texts } from "./tinyPairs.ts"

const clip = await newModel("clip")

operatorContract(Operator, {
  config: { batch_size: 4 },
  artifacts: { model: clip },
  layer: eager,
  columns: { text: textColumn([...texts.slice(0, 4), "red ".repeat(5000)]) },
  nulls: { text: textColumn(["a red square", null, "", " \n"]) },
  badConfigs: [{ config: { batch_size: 5000 }, names: /batch_size/ }]
})

const embed = (layer: typeof eager, given: ReadonlyArray<string>) =>
  runIn(
    { layer },
    Effect.gen(function* () {
      const context = yield* contextOf(Operator, { config: { batch_size: 8 }, artifacts: { model: clip } })
      const body = yield* Operator.body.open(context as never)
      return yield* body(rowsOf({ text: textColumn(given) }))
    })
  )

describe("TextEncoder", () => {
  it("gives unit-length embeddings, the same on both executors", async () => {
    const [reference, fast] = await Promise.all([embed(eager, texts), embed(onnx, texts)])
    const values = floatsOf(fast.columns["text_embeds"]!)
    floatsOf(reference.columns["text_embeds"]!).forEach((value, i) => expect(values[i]).toBeCloseTo(value, 5))
    for (let row = 0; row < texts.length; row++) {
      expect(Math.hypot(...values.subarray(row * 16, row * 16 + 16))).toBeCloseTo(1, 5)
    }
  })

  it("rejects empty texts with a reason and keeps the others in order", async () => {
    const { columns, rejected } = await embed(eager, ["a red square", "", "a blue corner", "   "])
    expect(rejected).toEqual([
      { row: 1, code: "R201", reason: "the text is empty" },
      { row: 3, code: "R201", reason: "the text is empty" }
    ])
    const alone = await embed(eager, ["a red square", "a blue corner"])
    expect(floatsOf(columns["text_embeds"]!)).toEqual(floatsOf(alone.columns["text_embeds"]!))
  })
})
