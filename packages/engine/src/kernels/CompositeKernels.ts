/**
 * Kernels that tfjs doesn't have and ONNX Runtime has as one operation. A model calls one where the active backend registers it
 * (`tf.getKernel(name, tf.getBackend()) !== undefined`) and composes plain operations elsewhere:
 *
 *   LayerNorm  x [..., D], weight [D], bias [D]; epsilon   ->  y [..., D]   normalised over the last axis
 *   Gelu       x                                           ->  y            x * Phi(x), by erf
 *   QuickGelu  x                                           ->  y            x * sigmoid(1.702 x), as OpenAI's CLIP
 *   SoftmaxCrossEntropy  logits [R, V], targets int32 [R]; label_smoothing  ->  losses [R]
 *
 * All float32 but the targets. The gradients read what the forward operation already computed and exist on the capture backend only.
 */
import type { GradConfig, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import type { Value } from "../Graph.ts"
import { showShape } from "../Graph.ts"
import { binary, float, unary } from "../ops/Elementwise.ts"
import { reduce, softmax } from "../ops/Reduction.ts"
import { reshape } from "../ops/Shape.ts"
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

/**
 * -sum_v q[v] log softmax(logits)[v] with q = (1 - s) at the target plus s / V everywhere, from two numbers a row: the target's and the sum.
 * The targets' distribution [R, V] never exists.
 */
function crossEntropy(logits: Value, targets: Value, smoothing: number): Value {
  const [rows, classes] = logits.shape as [number, number]
  if (logits.shape.length !== 2 || targets.dtype !== "int32" || showShape(targets.shape) !== `[${rows}]`)
    fail(`${targets.dtype} targets ${showShape(targets.shape)} for logits ${showShape(logits.shape)}`)
  const log = softmax("LogSoftmax", logits, 1)
  const own = make("GatherElements", [log, reshape(targets, [rows, 1])], [rows, 1], "float32", { axis: 1 })
  const even = binary("Mul", reduce("ReduceSum", log, [1], true), float(-smoothing / classes))
  return reshape(binary("Add", binary("Mul", own, float(smoothing - 1)), even), [rows])
}

export const compositeKernels: ReadonlyArray<Kernel> = [
  kernel(
    "LayerNorm",
    "float32; not in tfjs: inputs x, weight, bias, attribute epsilon",
    ({ x, weight, bias }, { epsilon }) => layerNorm(x!, weight!, bias!, epsilon as number)
  ),
  kernel("Gelu", "float32; not in tfjs: exact GELU", ({ x }) => unary("Gelu", x!)),
  kernel("QuickGelu", "float32; not in tfjs: x * sigmoid(1.702 x)", ({ x }) => unary("QuickGelu", x!)),
  kernel(
    "SoftmaxCrossEntropy",
    "float32; not in tfjs: inputs logits [R,V], targets int32 [R] below V, attribute label_smoothing",
    ({ logits, targets }, { label_smoothing }) => crossEntropy(logits!, targets!, label_smoothing as number)
  )
]

/** What the gradients need of the recording and tfjs has no operation for. */
export interface Recorded {
  /** Row means and reciprocal standard deviations [..., 1] that a recorded LayerNorm gives besides its result. */
  readonly moments: (y: Tensor) => { readonly mean: Tensor; readonly reciprocal: Tensor }
  /** `x` [R, V] with `values` [R, 1] added at `positions`, int32 [R], one in each row. */
  readonly addAt: (x: Tensor, positions: Tensor, values: Tensor) => Tensor
}

const single = (dy: Tensor | ReadonlyArray<Tensor>): Tensor => (Array.isArray(dy) ? dy[0] : dy) as Tensor

/**
 * dx = (dy w - mean(dy w) - xhat mean(dy w xhat)) / std. Both means are products with the weight as a vector, which saves the
 * elementwise passes that dy w xhat would take.
 */
const layerNormGradient = (momentsOf: Recorded["moments"]): GradConfig => ({
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

/** d loss / d logits = softmax(logits) - q. */
const crossEntropyGradient = (addAt: Recorded["addAt"]): GradConfig => ({
  kernelName: "SoftmaxCrossEntropy",
  inputsToSave: ["logits", "targets"],
  gradFunc: (dy, [logits, targets], { label_smoothing }) => ({
    logits: () => {
      const [rows, classes] = logits!.shape as [number, number]
      const smoothing = label_smoothing as number
      const scale = tf.reshape(single(dy), [rows, 1])
      const log: Tensor = tf.engine().runKernel("LogSoftmax", { logits: logits! }, { axis: 1 })
      const even = tf.mul(tf.sub(tf.exp(log), smoothing / classes), scale)
      return addAt(even, targets!, tf.mul(scale, smoothing - 1))
    },
    targets: () => tf.zeros(targets!.shape)
  })
})

export const compositeGradients = ({ moments, addAt }: Recorded): ReadonlyArray<GradConfig> => [
  layerNormGradient(moments),
  geluGradient,
  quickGeluGradient,
  crossEntropyGradient(addAt)
]
