import "@tensorflow/tfjs-backend-cpu"
import * as tf from "@tensorflow/tfjs-core"
import { assert, beforeAll, describe, it } from "vitest"
import { bertStates } from "../src/Bert.ts"
import type { TextConfig } from "../src/Config.ts"
import { dropoutKey, dropWith } from "../src/Dropout.ts"
import { paddingMask } from "../src/Layers.ts"
import type { Weights } from "../src/Model.ts"
import { randomKey } from "../src/Random.ts"
import { maxDifference } from "./Close.ts"
import expected from "./fixtures/blip_dropout.json" with { type: "json" }

beforeAll(async () => {
  await tf.setBackend("cpu")
})

const config: TextConfig = {
  model_type: "blip_text_model",
  vocab_size: 13,
  hidden_size: 12,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 8,
  hidden_act: "gelu",
  layer_norm_eps: 1e-12
}
const imageWidth = 8

const shapeOf = (name: string): ReadonlyArray<number> => {
  const { hidden_size: D, intermediate_size: F } = config
  if (name.endsWith("word_embeddings.weight")) return [config.vocab_size, D]
  if (name.endsWith("position_embeddings.weight")) return [config.max_position_embeddings, D]
  const isWide = /intermediate\.dense/.test(name)
  if (!/(dense|query|key|value)\.weight$/.test(name)) return [isWide ? F : D]
  if (isWide) return [F, D]
  if (/layer\.\d\.output\.dense/.test(name)) return [D, F]
  return [D, /crossattention\.self\.(key|value)/.test(name) ? imageWidth : D]
}

/** As the fixture's script has them. */
const weights: Weights = Object.fromEntries(
  expected.names.map((name, n) => {
    const shape = shapeOf(name)
    const size = shape.reduce((product, side) => product * side, 1)
    const one = name.endsWith("LayerNorm.weight") ? 1 : 0
    const values = Float32Array.from({ length: size }, (_, i) => 0.4 * Math.sin(0.7 * i + n) + one)
    return [`text_encoder.${name}`, tf.tensor(values, [...shape])]
  })
)

const stack = { shared: "text_encoder", self: "text_encoder" }
const ids = tf.tensor2d(expected.input_ids, [3, 5], "int32")
const image_tokens = tf.tensor(
  Float32Array.from({ length: 3 * 4 * imageWidth }, (_, i) => 0.5 * Math.cos(i)),
  [3, 4, imageWidth]
)
const mask = paddingMask(tf.cast(tf.notEqual(ids, 0), "int32"))
const key = tf.tensor1d(expected.key, "int32")
const lastState = (rate: number): Float32Array => {
  const drop = dropWith({ rate, key, prefix: expected.prefix })
  return bertStates(weights, stack, config, ids, mask, { drop, image_tokens }).at(-1)!.dataSync<"float32">()
}

describe("BLIP's text transformer with dropout, against BlipTextModel with the same masks", () => {
  it("gives the same states", () => {
    assert.isAtMost(maxDifference(lastState(expected.rate), expected.last_hidden_state), 1e-5)
  })

  it("gives others without", () => {
    assert.isAbove(maxDifference(lastState(0), expected.last_hidden_state), 0.1)
  })
})

/** 1 where a place is kept, in `rows` rows of `places`. */
const keptPlaces = (rows: number, places: number, site = "a", seed = 1, first = 0, rate = 0.5): Float32Array => {
  const at = { rate, key: tf.tensor1d(dropoutKey(randomKey(seed), first), "int32") }
  return tf.tidy(() => dropWith(at)(tf.ones([rows, places]), site).dataSync<"float32">()).map((x) => (x > 0 ? 1 : 0))
}

const mean = (values: ArrayLike<number>): number => Array.from(values).reduce((sum, x) => sum + x, 0) / values.length

/** In standard deviations of what independent fair draws would give. */
const correlation = (a: Float32Array, b: Float32Array): number =>
  mean(a.map((x, i) => (2 * x - 1) * (2 * b[i]! - 1))) * Math.sqrt(a.length)

describe("what is dropped", () => {
  it.each([0.1, 0.3, 0.5])("is a share of %s, and the rest is scaled up", (rate) => {
    const [rows, places] = [64, 4096]
    const deviation = Math.sqrt((rate * (1 - rate)) / (rows * places))
    assert.isAtMost(Math.abs(1 - mean(keptPlaces(rows, places, "a", 1, 0, rate)) - rate), 4.5 * deviation)
    const at = { rate, key: tf.tensor1d([1, 2, 0], "int32") }
    const values = new Set(dropWith(at)(tf.ones([4, 100]), "a").dataSync())
    assert.deepStrictEqual(
      [...values].sort((a, b) => a - b),
      [0, Math.fround(1 / (1 - rate))]
    )
  })

  it("is independent from row to row, place to place, site to site and step to step", () => {
    const [rows, places] = [40, 8192]
    const kept = keptPlaces(rows, places)
    const row = (at: number, of = kept) => of.subarray(at * places, (at + 1) * places)
    const found: Array<number> = []
    for (let a = 0; a < rows; a++) for (let b = 0; b < a; b++) found.push(correlation(row(a), row(b)))
    for (const shift of [1, 2, 3, 64, 768]) found.push(correlation(kept.subarray(shift), kept.subarray(0, -shift)))
    for (const other of [keptPlaces(rows, places, "b"), keptPlaces(rows, places, "a", 2)]) {
      found.push(correlation(kept, other))
      for (let at = 0; at < rows; at++) found.push(correlation(row(at), row(at, other)))
    }
    // 867 draws of a standard normal: none beyond 4.5, and a variance of 1 within four of its deviations.
    assert.isAtMost(Math.max(...found.map(Math.abs)), 4.5)
    assert.closeTo(mean(found.map((x) => x * x)), 1, 4 * Math.sqrt(2 / found.length))
  })

  it("hangs on a row's place in the batch, not on the rows computed with it", () => {
    assert.deepStrictEqual(keptPlaces(3, 50, "a", 1, 5), keptPlaces(8, 50).subarray(5 * 50))
  })

  it("differs in places that are a prime apart", () => {
    const kept = keptPlaces(1, 3 * 46337)
    assert.isAtMost(Math.abs(correlation(kept.subarray(0, 46337), kept.subarray(46337, 2 * 46337))), 4.5)
  })

  it("is never everything", () => {
    for (const rate of [1, -0.1, Number.NaN])
      assert.throws(() => dropWith({ rate, key }), /a dropout rate of at least 0/)
  })
})
