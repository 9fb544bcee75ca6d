/** torch.optim.AdamW on tfjs tensors, one step at a time. For tests only: engines have their own. */
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import type { OptimizerSettings } from "../src/Optimizers.ts"

export type Named = Record<string, Tensor>

/** Values and gradients of a sum of losses, by name. */
export const gradientsOf = (weights: Named, loss: (weights: Named) => Tensor): { value: number; gradients: Named } => {
  const names = Object.keys(weights)
  const { value, grads } = tf.valueAndGrads((...tensors: Array<Tensor>) =>
    loss(Object.fromEntries(names.map((name, i) => [name, tensors[i]!])))
  )(names.map((name) => weights[name]!))
  return { value: value.dataSync()[0]!, gradients: Object.fromEntries(names.map((name, i) => [name, grads[i]!])) }
}

export const adamW = (
  settings: OptimizerSettings,
  lr: number,
  clamp: Readonly<Record<string, readonly [number, number]>>
) => {
  const moments = new Map<string, { first: Tensor; second: Tensor }>()
  let step = 0
  return (weights: Named, gradients: Named): Named => {
    step++
    const [beta1, beta2] = settings.betas
    return Object.fromEntries(
      Object.entries(weights).map(([name, weight]) => {
        const gradient = gradients[name]!
        const old = moments.get(name) ?? { first: tf.zerosLike(weight), second: tf.zerosLike(weight) }
        const first: Tensor = tf.add(tf.mul(old.first, beta1), tf.mul(gradient, 1 - beta1))
        const second: Tensor = tf.add(tf.mul(old.second, beta2), tf.mul(tf.square(gradient), 1 - beta2))
        moments.set(name, { first, second })
        const decay = settings.decays(name, weight.shape) ? 1 - lr * settings.weight_decay : 1
        const denominator = tf.add(tf.div(tf.sqrt(second), Math.sqrt(1 - beta2 ** step)), settings.eps)
        const moved: Tensor = tf.sub(
          tf.mul(weight, decay),
          tf.mul(tf.div(first, denominator), lr / (1 - beta1 ** step))
        )
        const bounds = clamp[name]
        return [name, bounds === undefined ? moved : tf.clipByValue(moved, bounds[0], bounds[1])]
      })
    )
  }
}
