/**
 * Test support: a training program with every feature in a few lines. Token rows are embedded, normalised, transformed and compared with
 * their twin's and with a queue.
 *
 *   B rows   T tokens   V vocabulary   D width   Q queue
 */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { HostTensors, Optimizer, TrainingProgram } from "../src/index.ts"
import { float32, int32, numbersFrom } from "./CompareExecutors.ts"

export interface Sizes {
  readonly B: number
  readonly T: number
  readonly V: number
  readonly D: number
  readonly Q: number
}

export const tinyWeights = ({ V, D }: Sizes, seed: number): HostTensors => {
  const next = numbersFrom(seed)
  return {
    table: float32([V, D], next, -1, 1),
    "norm.weight": float32([D], next, 0.5, 1.5),
    "norm.bias": float32([D], next, -0.1, 0.1),
    "dense.weight": float32([2 * D, D], next, -0.5, 0.5),
    "out.weight": float32([D, 2 * D], next, -0.5, 0.5),
    scale: float32([], next, 1, 2),
    idle: float32([D], next)
  }
}

export const tinyInputs = ({ B, T, V, D }: Sizes, seed: number): HostTensors => {
  const next = numbersFrom(seed)
  return { ids: int32([B, T], next, 0, V), noise: float32([B, D], next, -0.1, 0.1) }
}

const fused = (name: string, inputs: Record<string, Tensor>, attributes = {}): Tensor | undefined =>
  tf.getKernel(name, tf.getBackend()) === undefined
    ? undefined
    : (tf.engine().runKernel(name, inputs, attributes) as Tensor)

export function layerNorm(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  const centred = tf.sub(x, tf.mean(x, -1, true))
  const composed = () =>
    tf.add(tf.mul(tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), -1, true), 1e-5))), weight), bias)
  return fused("LayerNorm", { x, weight, bias }, { epsilon: 1e-5 }) ?? composed()
}

export const gelu = (x: Tensor): Tensor =>
  fused("Gelu", { x }) ?? tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))

export const quickGelu = (x: Tensor): Tensor => fused("QuickGelu", { x }) ?? tf.mul(x, tf.sigmoid(tf.mul(x, 1.702)))

/** [R] of logits [R, V]; the targets' distribution is spelled out where there is no kernel. */
export function crossEntropy(logits: Tensor, targets: Tensor, label_smoothing: number): Tensor {
  const V = logits.shape[1]!
  const composed = () => {
    const even = tf.add(tf.mul(tf.oneHot(targets, V, 1, 0, "float32"), 1 - label_smoothing), label_smoothing / V)
    return tf.neg(tf.sum(tf.mul(tf.logSoftmax(logits), even), -1))
  }
  return fused("SoftmaxCrossEntropy", { logits, targets }, { label_smoothing }) ?? composed()
}

export function embed(w: Readonly<Record<string, Tensor>>, ids: Tensor): Tensor {
  const [B, T] = ids.shape as [number, number]
  const rows = tf.reshape(tf.gather(w.table!, tf.reshape(ids, [-1])), [B, T, -1])
  const hidden = gelu(
    tf.matMul(
      tf.reshape(layerNorm(rows, w["norm.weight"]!, w["norm.bias"]!), [B * T, -1]),
      w["dense.weight"]!,
      false,
      true
    )
  )
  const mixed = tf.reshape(tf.matMul(hidden, w["out.weight"]!, false, true), [B, T, -1])
  const pooled = tf.mean(tf.add(rows, mixed), 1)
  return tf.div(pooled, tf.sqrt(tf.sum(tf.square(pooled), -1, true)))
}

export const tinyProgram = (sizes: Sizes): TrainingProgram => ({
  name: "tiny (test)",
  weights: ["table", "norm.weight", "norm.bias", "dense.weight", "out.weight", "scale", "idle"],
  twin: ["table", "norm.weight", "norm.bias", "dense.weight", "out.weight"],
  state: { queue: { shape: [sizes.Q, sizes.D], dtype: "float32" } },
  run: ({ weights, twin, state, inputs }) => {
    const own = embed(weights, inputs.ids!)
    const followed = embed(twin, inputs.ids!)
    const candidates = tf.concat([followed, state.queue!], 0)
    const logits = tf.mul(tf.matMul(own, candidates as tf.Tensor2D, false, true), tf.exp(weights.scale!))
    const own_hot = tf.oneHot(tf.range(0, sizes.B, 1, "int32"), sizes.B + sizes.Q, 1, 0, "float32")
    const noise = tf.mean(tf.square(tf.add(own, inputs.noise!)))
    return {
      losses: {
        contrastive_loss: tf.neg(tf.mean(tf.sum(tf.mul(tf.logSoftmax(logits), own_hot), -1))),
        noise_loss: noise
      },
      outputs: { enqueue: followed, best: tf.argMax(logits, -1) }
    }
  }
})

export const tinyOptimizer: Optimizer = {
  betas: [0.9, 0.98],
  eps: 1e-6,
  weight_decay: 0.2,
  decays: (_, shape) => shape.length >= 2,
  max_grad_norm: 0.5,
  clamp: { scale: [0, 1.5] },
  momentum: 0.995,
  ema: 0.9
}

export const tinyQueue = ({ Q, D }: Sizes, seed: number): HostTensors => ({
  queue: float32([Q, D], numbersFrom(seed), -1, 1)
})
