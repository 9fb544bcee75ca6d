/**
 * BLIP's pre-training step (ITC with twin and queue, ITM, LM) by the engine, against PyTorch for three steps: all losses, gradients,
 * weights, the twin and the queue as it wraps (Li et al. 2022, section 3.2).
 */
import { makeEagerExecutor, makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensor, HostTensors, Optimizer } from "@bootlace/engine"
import { blipOptimizer, fromHuggingFace, modelFromConfig, preset } from "@bootlace/models"
import type { BlipModel } from "@bootlace/models"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { readJson, readTensors } from "../../packages/models/test/Safetensors.ts"
import { blipPretraining, queues, rowsOf, startingWith } from "./BlipPretraining.ts"
import { assertClose, assertGradient, assertTrained, hostTensor, parityTensors, under } from "./ParityCase.ts"

interface Recipe {
  readonly text_config: object
  readonly vision_config: object
  readonly embed_dim: number
  readonly queue_size: number
  readonly momentum: number
  readonly alpha: number
  readonly enc_token_id: number
  readonly dec_token_id: number
  readonly tied_lm_head: boolean
  readonly optimizer: { readonly lr: number }
  readonly steps: ReadonlyArray<{ loss_ita: number; loss_itm: number; loss_lm: number; temp: number }>
}

const open = (name: string) => {
  const recipe = readJson<Recipe>(`${name}/expected_train.json`)
  const stored = { ...readTensors("blip_pretrain/init.safetensors"), ...readTensors(`${name}/init.safetensors`) }
  const model = modelFromConfig({
    model_type: "blip",
    image_text_hidden_size: recipe.embed_dim,
    tie_word_embeddings: recipe.tied_lm_head,
    vision_config: recipe.vision_config,
    text_config: recipe.text_config
  }) as BlipModel
  const { names } = fromHuggingFace(model, Object.keys(stored))
  const weights: HostTensors = Object.fromEntries(
    Object.entries(names).map(([ours, theirs]) => [ours, hostTensor(stored[theirs]!)])
  )
  const ours = Object.fromEntries(Object.entries(names).map(([mine, theirs]) => [theirs, mine]))
  return { recipe, stored, model, weights, ours, expected: parityTensors(`${name}/expected_train.safetensors`) }
}

/** [E, Q] to [Q, E]. */
function transposed({
  data,
  shape
}: {
  readonly data: HostTensor["data"]
  readonly shape: ReadonlyArray<number>
}): HostTensor {
  const [rows, columns] = shape as [number, number]
  const turned = Float32Array.from(data, (_, index) => data[(index % rows) * columns + Math.floor(index / rows)]!)
  return { shape: [columns, rows], dtype: "float32", data: turned }
}

const scaled = (tensor: HostTensor, factor: number): HostTensor => ({
  ...tensor,
  data: Float32Array.from(tensor.data, (value) => value * factor)
})

const train = (
  make: ReturnType<typeof makeEagerExecutor>,
  { recipe, stored, model, weights, expected }: ReturnType<typeof open>
) => {
  const optimizer: Optimizer = { ...blipOptimizer, clamp: model.clamp, momentum: recipe.momentum }
  const inputsOf = (step: number): HostTensors => ({
    pixel_values: expected.pixel_values!,
    input_ids: expected.input_ids!,
    encoder_ids: startingWith(recipe.enc_token_id, expected.input_ids!),
    decoder_ids: startingWith(recipe.dec_token_id, expected.input_ids!),
    attention_mask: expected.attention_mask!,
    neg_image_idx: expected[`step${step}.neg_image_idx`]!,
    neg_text_idx: expected[`step${step}.neg_text_idx`]!,
    alpha: { shape: [], dtype: "float32", data: Float32Array.of(recipe.alpha) }
  })
  const start = {
    _tag: "Fresh",
    twin: Object.fromEntries(model.encoderWeights.map((name) => [name, scaled(weights[name]!, 0.9)])),
    state: { image_queue: transposed(stored.image_queue!), text_queue: transposed(stored.text_queue!) }
  } as const
  return Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const loaded = yield* (yield* make).load(weights)
        const trainer = yield* loaded.train(blipPretraining("BLIP", model, recipe.queue_size), optimizer, start)
        const { gradients } = yield* trainer.gradients(inputsOf(0))
        const steps = []
        let pointer = stored.queue_ptr!.data[0]!
        for (let step = 0; step < recipe.steps.length; step++) {
          const { losses, outputs } = yield* trainer.step(inputsOf(step), recipe.optimizer.lr)
          yield* trainer.enqueue("image_queue", pointer, outputs.enqueue_image!)
          yield* trainer.enqueue("text_queue", pointer, outputs.enqueue_text!)
          pointer = (pointer + outputs.enqueue_image!.shape[0]!) % recipe.queue_size
          steps.push({ losses, state: (yield* trainer.snapshot).state })
        }
        return { gradients, steps, ...(yield* trainer.snapshot) }
      })
    )
  )
}

describe.each(["blip_pretrain", "blip_pretrain_untied"])("BLIP's pre-training against PyTorch: %s", (name) => {
  it.each([
    ["onnx, 1 thread", makeOnnxExecutor({ threads: 1 })],
    ["onnx, 2 threads", makeOnnxExecutor({ threads: 2 })]
  ] as const)("three steps on %s", async (_, make) => {
    const at = open(name)
    const { recipe, ours, expected } = at
    const result = await train(make, at)
    recipe.steps.forEach((wanted, step) => {
      const { losses, state } = result.steps[step]!
      const tolerance = step === 0 ? 1e-4 : 1e-3
      assert.closeTo(losses.itc_loss!, wanted.loss_ita, tolerance, `ITC at step ${step}`)
      assert.closeTo(losses.itm_loss!, wanted.loss_itm, tolerance, `ITM at step ${step}`)
      assert.closeTo(losses.lm_loss!, wanted.loss_lm, tolerance, `LM at step ${step}`)
      for (const queue of ["image_queue", "text_queue"]) {
        assertClose(
          state[queue],
          transposed(expected[`step${step}.${queue}_after`]!),
          1e-4,
          `${queue} after step ${step}`
        )
      }
    })
    assert.isAtLeast(Object.keys(under("grad0.", expected)).length, 3)
    for (const [theirs, gradient] of Object.entries(under("grad0.", expected))) {
      assertGradient(result.gradients[ours[theirs]!], gradient, theirs)
    }
    for (const [theirs, tensor] of Object.entries(under("param3.", expected))) {
      const mine = ours[theirs.replace("_m.", ".")]!
      assertTrained((theirs.includes("_m.") ? result.twin : result.weights)[mine], tensor, recipe.optimizer.lr, theirs)
    }
  })
})

describe("BLIP on ONNX Runtime against eager", () => {
  const model = modelFromConfig(preset("blip", "nano", { vocab_size: 61 })) as BlipModel
  const queue_size = 10
  const initial = model.init(3)
  const weights: HostTensors = Object.fromEntries(
    Object.entries(model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32", data: initial[name]! }])
  )
  const optimizer: Optimizer = { ...blipOptimizer, clamp: model.clamp, momentum: 0.9, max_grad_norm: 1 }
  const run = (make: ReturnType<typeof makeEagerExecutor>, inputs: HostTensors) =>
    Effect.runPromise(
      Effect.scoped(
        Effect.gen(function* () {
          const loaded = yield* (yield* make).load(weights)
          const trainer = yield* loaded.train(blipPretraining("BLIP", model, queue_size), optimizer, {
            _tag: "Fresh",
            state: queues(model, queue_size)
          })
          const { gradients } = yield* trainer.gradients(inputs)
          const losses = []
          for (let step = 0; step < 3; step++) losses.push((yield* trainer.step(inputs, 1e-3)).losses)
          return { gradients, losses, ...(yield* trainer.snapshot) }
        })
      )
    )

  it.each([
    [3, 7],
    [5, 4]
  ])("every gradient, weights and twin after three steps: B %i, T %i", async (B, T) => {
    const inputs = rowsOf(model, B, T)
    const expected = await run(makeEagerExecutor(), inputs)
    for (const threads of [1, 2]) {
      const actual = await run(makeOnnxExecutor({ threads }), inputs)
      expected.losses.forEach((losses, step) => {
        for (const [name, loss] of Object.entries(losses))
          assert.closeTo(actual.losses[step]![name]!, loss, step === 0 ? 1e-4 : 1e-3, name)
      })
      for (const name of Object.keys(weights)) {
        assertGradient(actual.gradients[name], expected.gradients[name]!, name)
        assertTrained(actual.weights[name], expected.weights[name]!, 1e-3, name)
      }
      for (const name of model.encoderWeights) assertTrained(actual.twin[name], expected.twin[name]!, 1e-3, name)
    }
  })
})
