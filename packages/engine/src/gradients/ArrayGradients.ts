/** Gradients of reductions, softmax, matrix products and rows by position. */
import type { GradConfig, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { gradient, noGradient, sumTo } from "./Gradient.ts"

type Axes = number | Array<number> | null | undefined

const axesOf = (axis: Axes, rank: number): Array<number> =>
  axis === null || axis === undefined
    ? Array.from({ length: rank }, (_, index) => index)
    : [axis].flat().map((one) => (one < 0 ? one + rank : one))

/** A reduced tensor with the reduced axes back as length 1. */
const kept = (reduced: Tensor, x: Tensor, axis: Axes): Tensor => {
  const axes = axesOf(axis, x.shape.length)
  return tf.reshape(
    reduced,
    x.shape.map((length, index) => (axes.includes(index) ? 1 : length))
  )
}

/** dy to every element that equals the extreme, as tfjs does (PyTorch gives it to one of them). */
const extreme = (name: string, attribute: "reductionIndices" | "axis"): GradConfig =>
  gradient(name, ["x", "y"], (dy, [x, y], attributes) => ({
    x: () => {
      const axis = (attributes[attribute] ?? attributes.axis) as Axes
      return tf.mul(kept(dy, x!, axis), tf.cast(tf.equal(x!, kept(y!, x!, axis)), "float32"))
    }
  }))

const reductionGradients: ReadonlyArray<GradConfig> = [
  gradient("Sum", ["x"], (dy, [x], { axis }) => ({ x: () => tf.broadcastTo(kept(dy, x!, axis as Axes), x!.shape) })),
  gradient("Mean", ["x"], (dy, [x], { axis }) => ({
    x: () => {
      const count = axesOf(axis as Axes, x!.shape.length).reduce((product, one) => product * x!.shape[one]!, 1)
      return tf.broadcastTo(kept(tf.mul(dy, 1 / count), x!, axis as Axes), x!.shape)
    }
  })),
  extreme("Max", "reductionIndices"),
  extreme("Min", "axis"),
  gradient("Cumsum", ["x"], (dy, _, { axis, exclusive, reverse }) => ({
    x: () => tf.cumsum(dy, axis as number, exclusive as boolean, !(reverse as boolean))
  })),
  noGradient("All", ["x"]),
  noGradient("Any", ["x"]),
  noGradient("ArgMax", ["x"]),
  noGradient("ArgMin", ["x"])
]

const softmaxGradients: ReadonlyArray<GradConfig> = [
  gradient("Softmax", ["y"], (dy, [y], { dim }) => ({
    logits: () => tf.mul(tf.sub(dy, tf.sum(tf.mul(dy, y!), dim as number, true)), y!)
  })),
  gradient("LogSoftmax", ["y"], (dy, [y], { axis }) => ({
    logits: () => tf.sub(dy, tf.mul(tf.sum(dy, axis as number, true), tf.exp(y!)))
  }))
]

/** The four products that give the gradients of op(a) op(b), by which of the two is transposed. */
const matmulGradient: GradConfig = gradient("BatchMatMul", ["a", "b"], (dy, [a, b], { transposeA, transposeB }) => ({
  a: () =>
    sumTo(
      transposeA === true
        ? tf.matMul(b!, dy, transposeB === true, true)
        : tf.matMul(dy, b!, false, transposeB !== true),
      a!.shape
    ),
  b: () =>
    sumTo(
      transposeB === true
        ? tf.matMul(dy, a!, true, transposeA === true)
        : tf.matMul(a!, dy, transposeA !== true, false),
      b!.shape
    )
}))

/**
 * Rows picked several times get the sum of their gradients. The axis is moved to the front, and batches are flattened into it,
 * so that one sum by position does all cases.
 */
function gatherGradient(dy: Tensor, x: Tensor, positions: Tensor, axis: number, batchAxes: number): Tensor {
  const along = axis < 0 ? axis + x.shape.length : axis
  const length = x.shape[along]!
  if (batchAxes > 0) {
    const batches = x.shape.slice(0, batchAxes).reduce((product, one) => product * one, 1)
    const rest = x.shape.slice(along + 1)
    const offsets = tf.tensor2d(
      Int32Array.from({ length: batches }, (_, batch) => batch * length),
      [batches, 1],
      "int32"
    )
    const flat = tf.reshape(tf.add(tf.reshape(positions, [batches, -1]), offsets), [-1])
    return tf.reshape(
      tf.unsortedSegmentSum(tf.reshape(dy, [flat.size, ...rest]), flat as tf.Tensor1D, batches * length),
      x.shape
    )
  }
  const outer = x.shape.slice(0, along)
  const inner = x.shape.slice(along + 1)
  const grouped = tf.reshape(dy, [outer.reduce((product, one) => product * one, 1), positions.size, ...inner])
  const rows = tf.transpose(grouped, [1, 0, ...inner.map((_, index) => index + 2)])
  const summed = tf.unsortedSegmentSum(rows, tf.reshape(positions, [-1]) as tf.Tensor1D, length)
  return tf.reshape(tf.transpose(summed, [1, 0, ...inner.map((_, index) => index + 2)]), x.shape)
}

export const arrayGradients: ReadonlyArray<GradConfig> = [
  ...reductionGradients,
  ...softmaxGradients,
  matmulGradient,
  gradient("GatherV2", ["x", "indices"], (dy, [x, indices], { axis, batchDims }) => ({
    x: () => gatherGradient(dy, x!, indices!, axis as number, (batchDims as number | undefined) ?? 0),
    indices: () => tf.zeros(indices!.shape)
  })),
  gradient("UnsortedSegmentSum", ["segmentIds"], (dy, [positions]) => ({
    x: () => tf.gather(dy, tf.cast(positions!, "int32")),
    segmentIds: () => tf.zeros(positions!.shape)
  })),
  noGradient("OneHot", ["indices"])
]
