/** CLIP trained by the engine: against PyTorch on the parity cases, against the eager executor on other shapes. */
import { makeEagerExecutor, makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensors, Optimizer, TrainingProgram } from "@bootlace/engine"
import { clipOptimizer, contrastive, modelFromConfig, preset } from "@bootlace/models"
import type { ClipModel, Model } from "@bootlace/models"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { readJson } from "../../packages/models/test/Safetensors.ts"
import { float32, int32, numbersFrom } from "../../packages/engine/test/CompareExecutors.ts"
import { assertClose, assertGradient, assertTrained, parityTensors } from "./ParityCase.ts"

const program = (model: Model): TrainingProgram => ({
  name: "CLIP",
  weights: Object.keys(model.shapes),
  twin: [],
  state: {},
  run: ({ weights, inputs }) => {
    const { image_embeds } = model.encodeImage(weights, inputs.pixel_values!)
    const text = { input_ids: inputs.input_ids!, attention_mask: inputs.attention_mask! }
    const text_embeds = model.encodeText(weights, text)
    const { itc_loss, ...outputs } = contrastive({ image_embeds, text_embeds, scale: model.similarityScale(weights) })
    return { losses: { itc_loss }, outputs: { ...outputs } }
  }
})

const train = (
  make: ReturnType<typeof makeEagerExecutor>,
  model: Model,
  weights: HostTensors,
  inputs: HostTensors,
  lr: number
) => {
  const optimizer: Optimizer = { ...clipOptimizer, clamp: model.clamp }
  return Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const loaded = yield* (yield* make).load(weights)
        const trainer = yield* loaded.train(program(model), optimizer, { _tag: "Fresh", state: {} })
        const { gradients } = yield* trainer.gradients(inputs)
        const losses: Array<number> = []
        const scales: Array<number> = []
        for (let step = 0; step < 3; step++) {
          losses.push((yield* trainer.step(inputs, lr)).losses.itc_loss!)
          scales.push((yield* loaded.weights).logit_scale!.data[0]!)
        }
        return { gradients, losses, scales, ...(yield* trainer.snapshot) }
      })
    )
  )
}

interface Recipe {
  readonly losses: ReadonlyArray<number>
  readonly logit_scale_after: ReadonlyArray<number>
  readonly lr: number
  readonly named: ReadonlyArray<string>
}

describe.each(["clip_quickgelu", "clip_gelu"])("CLIP against PyTorch: %s", (name) => {
  it.each([1, 2])("losses, gradients and weights of three steps, %i threads", async (threads) => {
    const model = modelFromConfig(readJson(`${name}/config.json`))
    const recipe = readJson<Recipe>(`${name}/expected_train.json`)
    const { pixel_values, input_ids, attention_mask, ...expected } = parityTensors(`${name}/expected_train.safetensors`)
    const inputs = { pixel_values: pixel_values!, input_ids: input_ids!, attention_mask: attention_mask! }
    const weights = parityTensors(`${name}/model.safetensors`)
    const result = await train(makeOnnxExecutor({ threads }), model, weights, inputs, recipe.lr)
    recipe.losses.forEach((loss, step) => assert.closeTo(result.losses[step]!, loss, step === 0 ? 1e-4 : 1e-3))
    recipe.logit_scale_after.forEach((scale, step) => assert.closeTo(result.scales[step]!, scale, 1e-5))
    assert.isAbove(recipe.named.length, 5)
    for (const key of recipe.named) assertGradient(result.gradients[key], expected[`grad0.${key}`]!, key)
    for (const [key, tensor] of Object.entries(expected)) {
      if (key.startsWith("param3.")) assertTrained(result.weights[key.slice(7)], tensor, recipe.lr, key)
    }
  })
})

interface Sizes {
  readonly B: number
  readonly T: number
}

/** Random batches; B, T, N = 17 (32 px, patch 8) and the widths all differ. */
const batch = ({ B, T }: Sizes, image_size: number): HostTensors => {
  const next = numbersFrom(B)
  const input_ids = int32([B, T], next, 5, 60)
  for (let row = 0; row < B; row++) input_ids.data[row * T + T - 1] = 3
  return {
    pixel_values: float32([B, 3, image_size, image_size], next),
    input_ids,
    attention_mask: { ...input_ids, data: new Int32Array(B * T).fill(1) }
  }
}

describe("CLIP on ONNX Runtime against eager", () => {
  const model = modelFromConfig(preset("clip", "nano", { vocab_size: 61 })) as ClipModel
  const initial = model.init(3)
  const weights: HostTensors = Object.fromEntries(
    Object.entries(model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32", data: initial[name]! }])
  )
  it.each([
    { B: 3, T: 7 },
    { B: 5, T: 4 }
  ])("every gradient, and the weights after three steps: %o", async (sizes) => {
    const inputs = batch(sizes, model.preprocess.image_size)
    const expected = await train(makeEagerExecutor(), model, weights, inputs, 1e-3)
    for (const threads of [1, 2]) {
      const actual = await train(makeOnnxExecutor({ threads }), model, weights, inputs, 1e-3)
      actual.losses.forEach((loss, step) => assert.closeTo(loss, expected.losses[step]!, step === 0 ? 1e-4 : 1e-3))
      for (const name of Object.keys(weights)) {
        assertGradient(actual.gradients[name], expected.gradients[name]!, name)
        assertTrained(actual.weights[name], expected.weights[name]!, 1e-3, name)
        assertClose(actual.exp_avg[name], expected.exp_avg[name]!, 1e-4, name)
      }
    }
  })
})
