/**
 * Test support: a training program whose table of words is read by two texts, by a head that is tied to it, and by their twin.
 *
 *   B rows   T tokens   V vocabulary   D width
 */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import type { Executor, Optimizer, TrainingProgram } from "../src/index.ts"
import { leanStepGraph } from "../src/Compile.ts"
import { specsOf } from "../src/HostTensors.ts"
import { float32, int32, numbersFrom } from "./CompareExecutors.ts"

const [B, T] = [3, 5]
export const [V, D] = [150, 6]
const optimizer: Optimizer = { betas: [0.9, 0.99], eps: 1e-8, weight_decay: 0, decays: () => false, momentum: 0.9 }
const weights = { words: float32([V, D], numbersFrom(1)) }
const twin = { words: float32([V, D], numbersFrom(2)) }
const next = numbersFrom(3)
// Few words, so that they repeat.
const inputs = { first: int32([B, T], next, 100, 110), second: int32([B, T], next, 0, 150) }

const program: TrainingProgram = {
  name: "tied words",
  weights: ["words"],
  twin: ["words"],
  state: {},
  run: (at) => {
    const rows = (table: tf.Tensor, ids: string): tf.Tensor2D =>
      tf.gather(table as tf.Tensor2D, tf.reshape(at.inputs[ids]!, [-1]))
    const words = at.weights.words as tf.Tensor2D
    const [first, second] = [rows(words, "first"), rows(words, "second")]
    const followed = rows(at.twin.words!, "first")
    const logits = tf.matMul(tf.mul(first, second), words, false, true)
    return {
      losses: { loss: tf.mean(tf.square(tf.sub(first, followed))), head_loss: tf.mean(tf.square(logits)) },
      outputs: { followed }
    }
  }
}

export const tiedGraph = () =>
  leanStepGraph(
    program,
    { weights: specsOf(weights), frozen: {}, twin: specsOf(twin), ema: {}, state: {} },
    specsOf(inputs),
    optimizer.momentum!
  )

export const tiedGradients = (make: Effect.Effect<Executor, unknown>) =>
  Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* (yield* make).load(weights)
        const trainer = yield* model.train(program, optimizer, { _tag: "Fresh", twin, state: {} })
        const { gradients, outputs, losses } = yield* trainer.gradients(inputs)
        return { gradients, outputs, losses }
      })
    )
  )
