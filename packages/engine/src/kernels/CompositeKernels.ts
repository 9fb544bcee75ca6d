/**
 * Kernels that tfjs doesn't have and ONNX Runtime has as one operation. A model calls one where the active backend registers it
 * (`tf.getKernel(name, tf.getBackend()) !== undefined`) and composes plain operations elsewhere:
 *
 *   LayerNorm  x [..., D], weight [D], bias [D]; epsilon   ->  y [..., D]   normalised over the last axis
 *   Gelu       x                                           ->  y            x * Phi(x), by erf
 *   QuickGelu  x                                           ->  y            x * sigmoid(1.702 x), as OpenAI's CLIP
 *
 * All float32. The gradients read what the forward operation already computed and exist on the capture backend only.
 */
import type { GradConfig, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import type { Value } from "../Graph.ts"
import { showShape } from "../Graph.ts"
import { unary } from "../ops/Elementwise.ts"
import { fail, make } from "../Recording.ts"
import type { Kernel } from "./Kernel.ts"
import { kernel } from "./Kernel.ts"

function layerNorm(x: Value, weight: Value, bias: Value, epsilon: number): Value {
  const last = x.shape.at(-1)
  for (const [name, vector] of [
    ["weight", weight],
    ["bias", bias]
  ] as const) {
    if (vector.shape.length !== 1 || vector.shape[0] !== last)
      fail(`${name} ${showShape(vector.shape)} for x ${showShape(x.shape)}`)
  }
  for (const operand of [x, weight, bias]) if (operand.dtype !== "float32") fail(`needs float32, got ${operand.dtype}`)
  return make("LayerNormalization", [x, weight, bias], x.shape, "float32", { epsilon })
}

export const compositeKernels: ReadonlyArray<Kernel> = [
  kernel(
    "LayerNorm",
    "float32; not in tfjs: inputs x, weight, bias, attribute epsilon",
    ({ x, weight, bias }, { epsilon }) => layerNorm(x!, weight!, bias!, epsilon as number)
  ),
  kernel("Gelu", "float32; not in tfjs: exact GELU", ({ x }) => unary("Gelu", x!)),
  kernel("QuickGelu", "float32; not in tfjs: x * sigmoid(1.702 x)", ({ x }) => unary("QuickGelu", x!))
]

/** Row means and reciprocal standard deviations [..., 1] that a recorded LayerNorm gives besides its result. */
export type Moments = (y: Tensor) => { readonly mean: Tensor; readonly reciprocal: Tensor }

const single = (dy: Tensor | ReadonlyArray<Tensor>): Tensor => (Array.isArray(dy) ? dy[0] : dy) as Tensor

/**
 * dx = (dy w - mean(dy w) - xhat mean(dy w xhat)) / std. Both means are products with the weight as a vector, which saves the
 * elementwise passes that dy w xhat would take.
 */
const layerNormGradient = (momentsOf: Moments): GradConfig => ({
  kernelName: "LayerNorm",
  inputsToSave: ["x", "weight"],
  outputsToSave: [true],
  gradFunc: (upstream, [x, weight, y]) => {
    const dy = single(upstream)
    const { mean, reciprocal } = momentsOf(y!)
    const normalised = tf.mul(tf.sub(x!, mean), reciprocal)
    const width = weight!.size
    const rows = x!.size / width
    const dyNormalised = tf.mul(dy, normalised)
    const meanWith = (rowsOf: Tensor) => {
      const product = tf.matMul(tf.reshape(rowsOf, [rows, width]), tf.reshape(weight!, [width, 1]))
      return tf.mul(tf.reshape(product, [...x!.shape.slice(0, -1), 1]), 1 / width)
    }
    const dx = () => {
      const pull = tf.add(tf.mul(normalised, meanWith(dyNormalised)), meanWith(dy))
      return tf.mul(tf.sub(tf.mul(dy, weight!), pull), reciprocal)
    }
    const leading = x!.shape.slice(0, -1).map((_, axis) => axis)
    return { x: dx, weight: () => tf.sum(dyNormalised, leading), bias: () => tf.sum(dy, leading) }
  }
})

/** d gelu / dx = Phi(x) + x phi(x), with phi the normal density. */
const geluGradient: GradConfig = {
  kernelName: "Gelu",
  inputsToSave: ["x"],
  gradFunc: (dy, [x]) => ({
    x: () => {
      const cumulative = tf.add(tf.mul(tf.erf(tf.mul(x!, Math.SQRT1_2)), 0.5), 0.5)
      const exponent = tf.add(tf.mul(tf.mul(x!, x!), -0.5), -0.5 * Math.log(2 * Math.PI))
      return tf.mul(tf.add(cumulative, tf.mul(x!, tf.exp(exponent))), single(dy))
    }
  })
}

/** With s = sigmoid(1.702 x): d / dx = s + 1.702 y (1 - s). */
const quickGeluGradient: GradConfig = {
  kernelName: "QuickGelu",
  inputsToSave: ["x"],
  outputsToSave: [true],
  gradFunc: (dy, [x, y]) => ({
    x: () => {
      const gate = tf.sigmoid(tf.mul(x!, 1.702))
      return tf.mul(tf.add(gate, tf.mul(tf.mul(y!, 1.702), tf.sub(1, gate))), single(dy))
    }
  })
}

export const compositeGradients = (momentsOf: Moments): ReadonlyArray<GradConfig> => [
  layerNormGradient(momentsOf),
  geluGradient,
  quickGeluGradient
]
