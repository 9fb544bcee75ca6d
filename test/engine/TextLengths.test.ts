/** Steps at several text lengths are one model, run by one session of ONNX Runtime, and give what a session for each would. */
import { makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensors, Optimizer, Specs, TrainingProgram, TrainingStart } from "@bootlace/engine"
import { blipOptimizer, contrastive, modelFromConfig, preset } from "@bootlace/models"
import type { BlipModel, Model } from "@bootlace/models"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { leanStepGraph } from "../../packages/engine/src/Compile.ts"
import { specsOf } from "../../packages/engine/src/HostTensors.ts"
import { lower } from "../../packages/engine/src/onnx/Lower.ts"
import { blipPretraining, queues, rowsOf } from "./BlipPretraining.ts"

const queue_size = 10
const rows = 8
// All of at least 64 tokens a batch: below, sums over them are other operations. 16 is all of the model's positions.
const lengths = [8, 16, 12, 8]
const model = modelFromConfig(preset("blip", "nano", { vocab_size: 200 })) as BlipModel
const program = blipPretraining("BLIP", model, queue_size)
const optimizer: Optimizer = { ...blipOptimizer, clamp: model.clamp, momentum: 0.9, max_grad_norm: 1 }

const initial = (): HostTensors => {
  const made = model.init(3)
  return Object.fromEntries(
    Object.entries(model.shapes).map(([name, shape]) => [name, { shape, dtype: "float32", data: made[name]! }])
  )
}

/** Steps at these lengths by an executor of their own, and where they lead. */
const train = (at: ReadonlyArray<number>, start: TrainingStart) =>
  Effect.gen(function* () {
    const executor = yield* makeOnnxExecutor({ threads: 2 })
    const trainer = yield* (yield* executor.load(initial())).train(program, optimizer, start)
    const losses = []
    for (const T of at) losses.push((yield* trainer.step(rowsOf(model, rows, T), 1e-3)).losses)
    return { losses, snapshot: yield* trainer.snapshot }
  }).pipe(Effect.scoped, Effect.runPromise)

const shapesOf = ({ shapes }: Model): Specs =>
  Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, { shape, dtype: "float32" }]))

const pairsOf = (T: number): Specs => ({
  pixel_values: { shape: [rows, 3, 16, 16], dtype: "float32" },
  input_ids: { shape: [rows, T], dtype: "int32" },
  attention_mask: { shape: [rows, T], dtype: "int32" }
})

const contrasting = (towers: Model): TrainingProgram => ({
  name: "contrastive",
  weights: Object.keys(towers.shapes),
  twin: [],
  state: {},
  run: ({ weights, inputs: { pixel_values, input_ids, attention_mask } }) => {
    const { image_embeds } = towers.encodeImage(weights, pixel_values!)
    const text_embeds = towers.encodeText(weights, { input_ids: input_ids!, attention_mask: attention_mask! })
    const { itc_loss } = contrastive({ image_embeds, text_embeds, scale: towers.similarityScale(weights) })
    return { losses: { itc_loss }, outputs: {} }
  }
})

describe("texts of several lengths", () => {
  it("are the same model with other operands", () => {
    const all = specsOf(initial())
    const twin = Object.fromEntries(model.encoderWeights.map((name) => [name, all[name]!]))
    const specs = { weights: all, frozen: {}, twin, state: specsOf(queues(model, queue_size)), ema: {} }
    const lowered = lengths.map((T) => lower(leanStepGraph(program, specs, specsOf(rowsOf(model, rows, T)), 0.9)))
    const [first, longer] = lowered as [(typeof lowered)[number], (typeof lowered)[number]]
    for (const { model: bytes } of lowered) assert.isTrue(Buffer.from(first.model).equals(bytes))
    assert.notDeepEqual(first.operands, longer.operands)
    assert.deepEqual(first.operands, lowered.at(-1)!.operands)
  })

  it.each(["clip", "siglip"] as const)("are the same model with other operands in %s", (architecture) => {
    const towers = modelFromConfig(preset(architecture, "nano", { vocab_size: 200 }))
    const specs = { weights: shapesOf(towers), frozen: {}, twin: {}, state: {}, ema: {} }
    const [first, ...others] = lengths.map((T) => lower(leanStepGraph(contrasting(towers), specs, pairsOf(T), 1)))
    for (const { model: bytes } of others) assert.isTrue(Buffer.from(first!.model).equals(bytes))
    assert.notDeepEqual(first!.operands, others[0]!.operands)
  })

  it("give in one session what they give in sessions of their own", async () => {
    const fresh: TrainingStart = { _tag: "Fresh", state: queues(model, queue_size) }
    const together = await train(lengths, fresh)
    const losses = []
    let start: TrainingStart = fresh
    for (const T of lengths) {
      const alone = await train([T], start)
      losses.push(...alone.losses)
      start = { _tag: "Resumed", snapshot: alone.snapshot }
    }
    assert.deepEqual(together.losses, losses)
    assert.deepEqual(start, { _tag: "Resumed", snapshot: together.snapshot })
  })
})
