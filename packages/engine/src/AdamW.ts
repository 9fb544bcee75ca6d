/**
 * AdamW as torch.optim.AdamW computes it (Loshchilov & Hutter 2019; decay decoupled from the gradient), in plain tfjs:
 *
 *   m <- m + (1 - beta1) (g - m)      v <- beta2 v + (1 - beta2) g g
 *   w <- w (1 - lr decay) - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
 *
 * g is first scaled down to `max_grad_norm`, as torch's clip_grad_norm_ does; clamped scalars are clamped last. What changes from
 * step to step is computed on the host in float64 and comes in as scalars.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import type { Optimizer } from "./Program.ts"

/** Per-step scalars, float32. */
export interface AdamWScalars<A> {
  readonly keep: A
  readonly step_size: A
  readonly correction: A
  readonly clip: A
}

export const adamWScalars = (
  optimizer: Optimizer,
  learning_rate: number,
  step: number,
  grad_norm: number
): AdamWScalars<number> => {
  const [beta1, beta2] = optimizer.betas
  const limit = optimizer.max_grad_norm
  return {
    keep: 1 - learning_rate * optimizer.weight_decay,
    step_size: learning_rate / (1 - beta1 ** step),
    correction: Math.sqrt(1 - beta2 ** step),
    clip: limit === undefined ? 1 : Math.min(1, limit / (grad_norm + 1e-6))
  }
}

export interface AdamWState {
  readonly weight: Tensor
  readonly exp_avg: Tensor
  readonly exp_avg_sq: Tensor
}

/** One weight's update. */
export function adamW(
  name: string,
  { weight, exp_avg, exp_avg_sq }: AdamWState,
  gradient: Tensor,
  scalars: AdamWScalars<Tensor>,
  optimizer: Optimizer
): AdamWState {
  const [beta1, beta2] = optimizer.betas
  const g = optimizer.max_grad_norm === undefined ? gradient : tf.mul(gradient, scalars.clip)
  const m = tf.add(exp_avg, tf.mul(tf.sub(g, exp_avg), 1 - beta1))
  const v = tf.add(tf.mul(exp_avg_sq, beta2), tf.mul(tf.square(g), 1 - beta2))
  const denominator = tf.add(tf.div(tf.sqrt(v), scalars.correction), optimizer.eps)
  const decayed = optimizer.decays(name, weight.shape) ? tf.mul(weight, scalars.keep) : weight
  const moved = tf.sub(decayed, tf.mul(tf.div(m, denominator), scalars.step_size))
  const bounds = optimizer.clamp?.[name]
  return { weight: bounds === undefined ? moved : tf.clipByValue(moved, ...bounds), exp_avg: m, exp_avg_sq: v }
}
