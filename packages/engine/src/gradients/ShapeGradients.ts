/** Gradients of kernels that move elements: dy moved back. */
import type { GradConfig, NamedAttrMap, Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { gradient, noGradient, sumTo } from "./Gradient.ts"

const front = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis)

/** dy between zeros, where `x` was cut from. */
function sliceGradient(dy: Tensor, x: Tensor, begin: number | ReadonlyArray<number>): Tensor {
  const starts = typeof begin === "number" ? [begin] : begin
  const paddings = x.shape.map((length, axis): [number, number] => {
    const before = starts[axis] ?? 0
    return [before, length - before - dy.shape[axis]!]
  })
  return tf.pad(dy, paddings)
}

/** The sum over all copies: each axis is seen as [copies, length]. */
function tileGradient(dy: Tensor, x: Tensor, repeats: ReadonlyArray<number>): Tensor {
  const seen = x.shape.flatMap((length, axis) => [repeats[axis]!, length])
  return tf.reshape(
    tf.sum(
      tf.reshape(dy, seen),
      x.shape.map((_, axis) => 2 * axis)
    ),
    x.shape
  )
}

const concat: GradConfig = {
  kernelName: "Concat",
  saveAllInputs: true,
  gradFunc: (dy, saved, { axis }) => {
    const along = front(axis as number, saved[0]!.shape.length)
    const parts = tf.split(
      dy as Tensor,
      saved.map((part) => part.shape[along]!),
      along
    )
    return Object.fromEntries(parts.map((part, index) => [String(index), () => part]))
  }
}

const pack: GradConfig = {
  kernelName: "Pack",
  saveAllInputs: true,
  gradFunc: (dy, _, { axis }) => {
    const parts = tf.unstack(dy as Tensor, axis as number)
    return Object.fromEntries(parts.map((part, index) => [String(index), () => part]))
  }
}

const joined = (
  kernelName: string,
  join: (parts: Array<Tensor>, attributes: NamedAttrMap) => Tensor,
  input: string
): GradConfig => ({
  kernelName,
  gradFunc: (dy, _, attributes) => ({ [input]: () => join([dy].flat() as Array<Tensor>, attributes) })
})

export const shapeGradients: ReadonlyArray<GradConfig> = [
  gradient("Reshape", ["x"], (dy, [x]) => ({ x: () => tf.reshape(dy, x!.shape) })),
  gradient("ExpandDims", ["input"], (dy, [input]) => ({ input: () => tf.reshape(dy, input!.shape) })),
  gradient("Transpose", [], (dy, _, { perm }) => ({
    x: () => {
      const order = perm as Array<number>
      return tf.transpose(
        dy,
        order.map((_axis, index) => order.indexOf(index))
      )
    }
  })),
  gradient("Slice", ["x"], (dy, [x], { begin }) => ({
    x: () => sliceGradient(dy, x!, begin as number | Array<number>)
  })),
  gradient("PadV2", ["x"], (dy, [x], { paddings }) => ({
    x: () =>
      tf.slice(
        dy,
        (paddings as unknown as Array<[number, number]>).map(([before]) => before),
        x!.shape
      )
  })),
  gradient("Tile", ["x"], (dy, [x], { reps }) => ({ x: () => tileGradient(dy, x!, reps as Array<number>) })),
  gradient("BroadcastTo", ["x"], (dy, [x]) => ({ x: () => sumTo(dy, x!.shape) })),
  gradient("Reverse", [], (dy, _, { dims }) => ({ x: () => tf.reverse(dy, dims as Array<number>) })),
  concat,
  pack,
  joined("Unpack", (parts, { axis }) => tf.stack(parts, axis as number), "value"),
  joined("SplitV", (parts, { axis }) => tf.concat(parts, axis as number), "x"),
  noGradient("Fill", []),
  noGradient("Range", [])
]
