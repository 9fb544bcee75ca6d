/** A short way to write a tfjs gradient: which tensors to keep, and one function per differentiable input. */
import type { GradConfig, NamedAttrMap, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"

type Pull = (dy: Tensor, saved: ReadonlyArray<Tensor>, attributes: NamedAttrMap) => Record<string, () => Tensor>

/** `save` names the inputs to keep; "y" also keeps the result, as the last of `saved`. */
export function gradient(kernelName: string, save: ReadonlyArray<string>, pull: Pull): GradConfig {
  const inputsToSave = save.filter((name) => name !== "y")
  return {
    kernelName,
    inputsToSave,
    ...(save.includes("y") ? { outputsToSave: [true] } : {}),
    gradFunc: (dy, saved, attributes) => pull((Array.isArray(dy) ? dy[0] : dy) as Tensor, saved, attributes)
  }
}

/** For kernels that are constant wherever they are differentiable. */
export const noGradient = (kernelName: string, inputs: ReadonlyArray<string>): GradConfig =>
  gradient(kernelName, inputs, (_, saved) =>
    Object.fromEntries(inputs.map((name, index) => [name, () => tf.zeros(saved[index]!.shape)]))
  )

/** The sum over the axes along which an operand of this shape was broadcast. */
export function sumTo(dy: Tensor, shape: ReadonlyArray<number>): Tensor {
  const lead = dy.shape.length - shape.length
  const broadcast = dy.shape
    .map((_, axis) => axis)
    .filter((axis) => axis < lead || (shape[axis - lead] === 1 && dy.shape[axis] !== 1))
  return tf.reshape(broadcast.length === 0 ? dy : tf.sum(dy, broadcast), [...shape])
}
