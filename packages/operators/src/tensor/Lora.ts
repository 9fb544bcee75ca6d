/**
 * LoRA: low-rank adapters beside linear weights, which stay as they are (Hu et al. 2022, section 4.1).
 *
 *   W [out, in]   ->   W + alpha / rank * B @ A,   `W.lora_A` [rank, in] small at random, `W.lora_B` [out, rank] zero
 *
 * Programs read the sum, so no model knows of adapters, and B = 0 gives the base model's outputs to the bit.
 */
import type { HostTensor, HostTensors, Tensors } from "@bootlace/engine"
import { randomKey, uniforms } from "@bootlace/models"
import type { Model } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import type { LoraConfig } from "./LoraConfig.ts"

/** In CLIP and SigLIP, BLIP's images, BLIP's texts. */
const queriesAndValues = ["q_proj", "v_proj", "qkv", "query", "value"]

/** Of one weight. */
interface Adapter {
  readonly weight: string
  readonly down: string
  readonly up: string
}

export interface Lora {
  readonly scale: number
  readonly adapters: ReadonlyArray<Adapter>
  readonly initial: HostTensors
}

/** Whether a weight is that of a linear layer. */
export const isLinear = (shapes: Model["shapes"], name: string): boolean =>
  name.endsWith(".weight") && shapes[name]!.length === 2 && !name.includes("embedding")

/** Weights of linear layers whose name is or ends with one of `targets`. */
const linearWeights = ({ shapes }: Model, target: string): ReadonlyArray<string> =>
  Object.keys(shapes).filter((name) => {
    const layer = name.replace(/\.weight$/, "")
    return isLinear(shapes, name) && (layer === target || layer.endsWith(`.${target}`))
  })

const initialOf = ({ shapes }: Model, { weight, down, up }: Adapter, rank: number, seed: number): HostTensors => {
  const [height, width] = shapes[weight] as [number, number]
  const bound = 1 / Math.sqrt(width)
  const data = uniforms(randomKey(seed, "lora", weight), rank * width).map((u) => (2 * u - 1) * bound)
  return {
    [down]: { shape: [rank, width], dtype: "float32", data: data as Float32Array },
    [up]: { shape: [height, rank], dtype: "float32", data: new Float32Array(height * rank) }
  }
}

/** Throws an Error in words for a person where a target names no linear layer. */
export const loraOf = (model: Model, { rank, alpha, targets }: LoraConfig, seed: number): Lora => {
  const idle = targets?.find((target) => linearWeights(model, target).length === 0)
  if (idle !== undefined) {
    const layers = Object.keys(model.shapes).filter((name) => name.endsWith(".weight"))
    const ends = new Set(layers.map((name) => name.split(".").at(-2)!))
    const known = [...ends].filter((end) => linearWeights(model, end).length > 0)
    throw new Error(
      `lora: no linear layer of this ${model.architecture} model is named ${idle}; there are ${known.join(", ")}`
    )
  }
  const names = new Set((targets ?? queriesAndValues).flatMap((target) => linearWeights(model, target)))
  const adapters = [...names].map((weight) => ({ weight, down: `${weight}.lora_A`, up: `${weight}.lora_B` }))
  const initial = adapters.map((adapter) => initialOf(model, adapter, rank, seed))
  return { scale: alpha / rank, adapters, initial: Object.assign({}, ...initial) as HostTensors }
}

/** The weights as programs read them. */
export const withAdapters = ({ adapters, scale }: Lora, weights: Tensors): Tensors => ({
  ...weights,
  ...Object.fromEntries(
    adapters.flatMap(({ weight, down, up }) => {
      const [W, A, B] = [weights[weight], weights[down], weights[up]]
      if (W === undefined || A === undefined || B === undefined) return []
      return [[weight, tf.add(W, tf.mul(tf.matMul(B as tf.Tensor2D, A as tf.Tensor2D), scale))]]
    })
  )
})

/** W + scale * B @ A, summed in float64. */
const mergedWeight = (W: HostTensor, A: HostTensor, B: HostTensor, scale: number): HostTensor => {
  const [height = 0, width = 0] = W.shape
  const [rank = 0] = A.shape
  const data = W.data.slice() as Float32Array
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      let sum = 0
      for (let k = 0; k < rank; k++) sum += B.data[row * rank + k]! * A.data[k * width + column]!
      data[row * width + column]! += scale * sum
    }
  }
  return { ...W, data }
}

/** The base model's weights with trained adapters merged into them. */
export const mergeAdapters = ({ adapters, scale }: Lora, base: HostTensors, trained: HostTensors): HostTensors => ({
  ...base,
  ...Object.fromEntries(
    adapters.map(({ weight, down, up }) => [weight, mergedWeight(base[weight]!, trained[down]!, trained[up]!, scale)])
  )
})
