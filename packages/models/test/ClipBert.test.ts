import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import type { Model } from "../src/Model.ts"
import { modelFromConfig } from "../src/ModelFromConfig.ts"
import { preset } from "../src/Presets.ts"
import type { Named } from "./AdamW.ts"
import { maxDifference } from "./Close.ts"
import { toTensor } from "./Safetensors.ts"

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const nano = preset("clip", "nano", { vocab_size: 20 })
const causal = modelFromConfig(nano)
const bert = modelFromConfig({ ...nano, text_config: { ...nano.text_config, model_type: "bert", hidden_act: "gelu" } })
const weightsOf = (model: Model): Named =>
  Object.fromEntries(
    Object.entries(model.init(1)).map(([name, data]) => [name, toTensor({ shape: model.shapes[name]!, data })])
  )

/** [CLS] ... [SEP], padded to T. */
const text = (pieces: ReadonlyArray<number>, T: number) => {
  const ids = [2, ...pieces, 3]
  const fill = (value: number): Array<number> => Array<number>(T - ids.length).fill(value)
  return {
    input_ids: tf.tensor([[...ids, ...fill(0)]], [1, T], "int32"),
    attention_mask: tf.tensor([[...ids.map(() => 1), ...fill(0)]], [1, T], "int32")
  }
}

describe.each([
  ["causal", causal],
  ["bert", bert]
] as const)("CLIP's %s text tower on a vocabulary made here", (kind, model) => {
  const weights = weightsOf(model)
  const embedding = (pieces: ReadonlyArray<number>, T: number): Float32Array =>
    model.encodeText(weights, text(pieces, T)).dataSync<"float32">()

  it("doesn't see padding", () => {
    assert.isAtMost(maxDifference(embedding([8, 9, 10], 12), embedding([8, 9, 10], 5)), 1e-6)
  })

  it("sees every word and their order", () => {
    for (const other of [
      [8, 9, 11],
      [8, 10, 9],
      [7, 9, 10],
      [8, 9]
    ])
      assert.isAbove(maxDifference(embedding(other, 6), embedding([8, 9, 10], 6)), 1e-4, kind)
  })

  it("takes no more tokens than it has positions", () => {
    assert.throws(() => embedding([8], 17), "17 tokens, but the model has 16 positions")
  })
})
