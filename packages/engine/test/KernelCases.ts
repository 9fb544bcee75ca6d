/** Test support: one tensor function per supported kernel, with inputs of random shapes for it. */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import type { HostTensors, Tensors } from "../src/index.ts"
import { sizeOf } from "../src/index.ts"
import { bool, float32, int32 } from "./CompareExecutors.ts"
import { crossEntropy, gelu, layerNorm, quickGelu } from "./TinyProgram.ts"

export interface KernelCase {
  /** tfjs's kernel name. */
  readonly kernel: string
  readonly inputs: (draw: Draw) => HostTensors
  readonly compute: (x: Tensors) => Tensor | Array<Tensor>
}

/** Random choices of one run of a case. */
export interface Draw {
  readonly next: () => number
  readonly shape: ReadonlyArray<number>
  /** A shape that broadcasts with `shape`. */
  readonly broadcast: ReadonlyArray<number>
  readonly axis: number
}

export function drawFrom(next: () => number, lengths: ReadonlyArray<number>): Draw {
  const dropped = Math.floor(next() * 3)
  const broadcast = lengths.map((length) => (next() < 0.3 ? 1 : length)).slice(Math.min(dropped, lengths.length))
  return { next, shape: lengths, broadcast, axis: Math.floor(next() * lengths.length) }
}

const two =
  (low = -2, high = 2) =>
  ({ next, shape, broadcast }: Draw) =>
    next() < 0.5
      ? { a: float32(shape, next, low, high), b: float32(broadcast, next, low, high) }
      : { a: float32(broadcast, next, low, high), b: float32(shape, next, low, high) }
const one =
  (low = -2, high = 2) =>
  ({ next, shape }: Draw) => ({ x: float32(shape, next, low, high) })
const integers = ({ next, shape, broadcast }: Draw) => ({
  a: int32(shape, next, -5, 6),
  b: int32(broadcast, next, 1, 5)
})
const truths = ({ next, shape, broadcast }: Draw) => ({ a: bool(shape, next), b: bool(broadcast, next) })

const binary = (
  kernel: string,
  f: (a: Tensor, b: Tensor) => Tensor,
  inputs: KernelCase["inputs"] = two()
): KernelCase => ({
  kernel,
  inputs,
  compute: ({ a, b }) => f(a!, b!)
})
const unary = (kernel: string, f: (x: Tensor) => Tensor, low = -2, high = 2): KernelCase => ({
  kernel,
  inputs: one(low, high),
  compute: ({ x }) => f(x!)
})

const elementwise: ReadonlyArray<KernelCase> = [
  binary("Add", tf.add),
  binary("Add", tf.add, integers),
  binary("Sub", tf.sub),
  binary("Multiply", tf.mul),
  binary("RealDiv", tf.div, two(0.5, 2)),
  binary("FloorDiv", tf.floorDiv, integers),
  binary("Mod", tf.mod, integers),
  binary("Maximum", tf.maximum),
  binary("Minimum", tf.minimum),
  binary("Pow", tf.pow, two(0.5, 2)),
  binary("SquaredDifference", tf.squaredDifference),
  ...[tf.equal, tf.notEqual, tf.less, tf.lessEqual, tf.greater, tf.greaterEqual].flatMap((f, index) => {
    const kernel = ["Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual"][index]!
    return [binary(kernel, f, integers), binary(kernel, f)]
  }),
  binary("LogicalAnd", tf.logicalAnd, truths),
  binary("LogicalOr", tf.logicalOr, truths),
  {
    kernel: "LogicalNot",
    inputs: ({ next, shape }) => ({ x: bool(shape, next) }),
    compute: ({ x }) => tf.logicalNot(x!)
  },
  {
    kernel: "AddN",
    inputs: ({ next, shape }) => ({ a: float32(shape, next), b: float32(shape, next), c: float32(shape, next) }),
    compute: ({ a, b, c }) => tf.addN([a!, b!, c!])
  },
  unary("Exp", tf.exp),
  unary("Expm1", tf.expm1),
  unary("Log", tf.log, 0.1, 3),
  unary("Log1p", tf.log1p, -0.5, 3),
  unary("Sqrt", tf.sqrt, 0.1, 3),
  unary("Rsqrt", tf.rsqrt, 0.1, 3),
  unary("Reciprocal", tf.reciprocal, 0.5, 3),
  unary("Square", tf.square),
  unary("Tanh", tf.tanh),
  unary("Sigmoid", tf.sigmoid),
  unary("Erf", tf.erf),
  unary("Floor", tf.floor),
  unary("Ceil", tf.ceil),
  unary("Round", tf.round),
  unary("Sin", tf.sin),
  unary("Cos", tf.cos),
  unary("Softplus", tf.softplus),
  unary("Elu", tf.elu),
  unary("Neg", tf.neg),
  unary("Abs", tf.abs),
  unary("Sign", tf.sign),
  unary("Relu", tf.relu),
  unary("Relu6", tf.relu6, -3, 9),
  unary("Step", tf.step),
  unary("IsNan", (x) => tf.isNaN(tf.sqrt(x))),
  unary("IsInf", (x) => tf.isInf(tf.div(1, tf.floor(x)))),
  unary("IsFinite", (x) => tf.isFinite(tf.div(1, tf.floor(x)))),
  unary("ClipByValue", (x) => tf.clipByValue(x, -0.5, 1)),
  unary("Identity", tf.clone),
  unary("ZerosLike", tf.zerosLike),
  unary("OnesLike", tf.onesLike),
  unary("Cast", (x) => tf.cast(tf.cast(x, "int32"), "float32")),
  unary("Cast", (x) => tf.cast(tf.cast(x, "bool"), "int32")),
  {
    kernel: "Select",
    inputs: ({ next, shape, broadcast }) => ({
      c: bool(shape, next),
      a: float32(shape, next),
      b: float32(broadcast, next)
    }),
    compute: ({ c, a, b }) => tf.where(c!, a!, b!)
  }
]

const cut = (x: Tensor): Array<Tensor> => {
  const begin = x.shape.map((length) => Math.min(1, length - 1))
  return [
    tf.slice(x, begin),
    tf.slice(
      x,
      x.shape.map(() => 0),
      x.shape.map((length) => Math.max(1, length - 1))
    )
  ]
}
const along = (kernel: string, f: (x: Tensor, axis: number) => Tensor | Array<Tensor>): KernelCase => ({
  kernel,
  inputs: ({ next, shape, axis }) => ({
    x: float32(shape, next),
    axis: { shape: [axis + 1], dtype: "int32", data: new Int32Array(axis + 1) }
  }),
  // The axis travels as a shape, so that eager and captured runs see the same one.
  compute: ({ x, axis }) => f(x!, axis!.shape[0]! - 1)
})

const shapes: ReadonlyArray<KernelCase> = [
  unary("Reshape", (x) => tf.reshape(x, [-1])),
  along("ExpandDims", (x, axis) => tf.expandDims(x, axis)),
  unary("Transpose", (x) => tf.transpose(x)),
  along("Transpose", (x, axis) =>
    tf.transpose(
      x,
      x.shape.map((_, index) => (index + axis) % x.shape.length)
    )
  ),
  { kernel: "Slice", inputs: one(), compute: ({ x }) => cut(x!) },
  along("StridedSlice", (x, axis) =>
    tf.stridedSlice(
      x,
      x.shape.map(() => 0),
      x.shape,
      x.shape.map((_, index) => (index === axis ? 2 : 1))
    )
  ),
  along("Concat", (x, axis) =>
    tf.concat(
      [
        x,
        tf.mul(x, 2),
        tf.slice(
          x,
          x.shape.map(() => 0),
          x.shape.map((length, index) => (index === axis ? 1 : length))
        )
      ],
      axis
    )
  ),
  along("Pack", (x, axis) => tf.stack([x, tf.neg(x)], axis)),
  along("Unpack", (x, axis) => tf.unstack(x, axis)),
  along("SplitV", (x, axis) => {
    const length = x.shape[axis]!
    return length === 1 ? tf.split(x, 1, axis) : tf.split(x, [1, length - 1], axis)
  }),
  along("Tile", (x, axis) =>
    tf.tile(
      x,
      x.shape.map((_, index) => (index === axis ? 3 : 1 + (index % 2)))
    )
  ),
  unary("BroadcastTo", (x) => tf.broadcastTo(tf.expandDims(x, 0), [3, ...x.shape])),
  unary("PadV2", (x) =>
    tf.pad(
      x,
      x.shape.map((_, index): [number, number] => [index % 2, 2]),
      0
    )
  ),
  along("Reverse", (x, axis) => tf.reverse(x, axis)),
  unary("Fill", (x) => tf.add(tf.fill([1], 7), x)),
  unary("Range", (x) => tf.add(tf.sum(tf.range(0, 5)), x))
]

const arrays: ReadonlyArray<KernelCase> = [
  along("Sum", (x, axis) => tf.sum(x, axis)),
  unary("Sum", (x) => tf.sum(x)),
  unary("Sum", (x) => tf.sum(tf.greater(x, 0))),
  along("Sum", (x, axis) => tf.sum(tf.square(x), axis, true)),
  {
    kernel: "Sum",
    inputs: ({ next }) => ({ x: float32([70 + Math.floor(next() * 9), 3, 2], next) }),
    compute: ({ x }) => tf.sum(x!, [0])
  },
  along("Mean", (x, axis) => tf.mean(x, axis, true)),
  unary("Mean", (x) => tf.mean(x)),
  along("Max", (x, axis) => tf.max(x, axis)),
  along("Min", (x, axis) => tf.min(x, axis)),
  along("Prod", (x, axis) => tf.prod(x, axis)),
  along("All", (x, axis) => tf.all(tf.greater(x, -1), axis)),
  along("Any", (x, axis) => tf.any(tf.greater(x, 1), axis)),
  along("ArgMax", (x, axis) => tf.argMax(x, axis)),
  along("ArgMin", (x, axis) => tf.argMin(x, axis)),
  {
    kernel: "TopK",
    inputs: one(),
    compute: ({ x }) => {
      const { values, indices } = tf.topk(x!, Math.ceil(x!.shape.at(-1)! / 2))
      return [values, indices]
    }
  },
  unary("TopK", (x) => tf.topk(tf.floor(x), x.shape.at(-1)).indices),
  unary("Softmax", (x) => tf.softmax(x)),
  unary("LogSoftmax", (x) => tf.logSoftmax(x)),
  along("Cumsum", (x) => tf.cumsum(x, x.shape.length - 1)),
  ...[false, true].flatMap((transposeA) =>
    [false, true].map((transposeB): KernelCase => ({
      kernel: "BatchMatMul",
      inputs: ({ next, shape }) => {
        const [m, k, n] = [1 + Math.floor(next() * 4), 1 + Math.floor(next() * 4), 1 + Math.floor(next() * 4)]
        const batch = shape.slice(0, -1)
        return {
          a: float32([...batch, ...(transposeA ? [k, m] : [m, k])], next),
          b: float32([...(next() < 0.5 ? batch : batch.map(() => 1)), ...(transposeB ? [n, k] : [k, n])], next)
        }
      },
      compute: ({ a, b }) => tf.matMul(a!, b!, transposeA, transposeB)
    }))
  ),
  {
    kernel: "_FusedMatMul",
    inputs: ({ next }) => ({ a: float32([3, 4], next), b: float32([4, 2], next), bias: float32([2], next) }),
    compute: ({ a, b, bias }) =>
      tf.fused.matMul({ a: a as tf.Tensor2D, b: b as tf.Tensor2D, bias: bias!, activation: "relu" })
  },
  {
    kernel: "GatherV2",
    inputs: ({ next, shape, axis }) => ({ x: float32(shape, next), at: int32([2, 1 + axis], next, 0, shape[axis]!) }),
    compute: ({ x, at }) => tf.gather(x!, at as tf.Tensor2D, at!.shape[1]! - 1)
  },
  {
    kernel: "GatherV2",
    inputs: ({ next }) => ({ x: float32([3, 5, 2], next), at: int32([3, 4], next, 0, 5) }),
    compute: ({ x, at }) => tf.gather(x!, at as tf.Tensor2D, 1, 1)
  },
  {
    kernel: "UnsortedSegmentSum",
    inputs: ({ next, shape }) => ({ x: float32(shape, next), at: int32([shape[0]!], next, 0, 3) }),
    compute: ({ x, at }) => tf.unsortedSegmentSum(x!, at as tf.Tensor1D, 3)
  },
  // Into few rows it is a matrix product, into many an operation of its own.
  {
    kernel: "UnsortedSegmentSum",
    inputs: ({ next, shape }) => ({
      x: float32([9, ...shape.slice(1)], next),
      at: int32([9], () => 0.97 + 0.03 * next(), 0, 200)
    }),
    compute: ({ x, at }) => tf.unsortedSegmentSum(x!, at as tf.Tensor1D, 200)
  },
  {
    kernel: "OneHot",
    inputs: ({ next, shape }) => ({ at: int32(shape, next, -1, 5) }),
    compute: ({ at }) => [tf.oneHot(at!, 4, 1, 0, "float32"), tf.oneHot(at!, 4, 0.9, 0.1, "float32")]
  }
]

/** One operation when captured, composed of plain ones on other backends. */
const composites: ReadonlyArray<KernelCase> = [
  unary("Gelu", gelu, -4, 4),
  unary("QuickGelu", quickGelu, -4, 4),
  {
    kernel: "LayerNorm",
    inputs: ({ next, shape }) => {
      const width = 2 + shape.at(-1)!
      return {
        x: float32([...shape.slice(0, -1), width], next),
        weight: float32([width], next),
        bias: float32([width], next)
      }
    },
    compute: ({ x, weight, bias }) => layerNorm(x!, weight!, bias!)
  },
  ...[0, 0.1].map((label_smoothing) => ({
    kernel: "SoftmaxCrossEntropy",
    inputs: ({ next, shape }: Draw) => {
      const [rows, classes] = [sizeOf(shape), 1 + shape.at(-1)!]
      return { logits: float32([rows, classes], next, -5, 5), targets: int32([rows], next, 0, classes) }
    },
    compute: ({ logits, targets }: Tensors) => crossEntropy(logits!, targets!, label_smoothing)
  }))
]

export const kernelCases: ReadonlyArray<KernelCase> = [...elementwise, ...shapes, ...arrays, ...composites]
