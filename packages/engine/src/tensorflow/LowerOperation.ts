/** One operation of a graph as one or a few TensorFlow nodes. */
import type { Value } from "../Graph.ts"
import { splatOf } from "../Recording.ts"
import type { Attributes, GraphBuilder } from "./GraphBuilder.ts"
import { ofType } from "./GraphBuilder.ts"
import { add, matmul, view } from "./LowerMatMul.ts"

/** Gives the node that holds the result. */
export type Lowering = (value: Value, builder: GraphBuilder, inputs: ReadonlyArray<string>) => string

const numbers = (value: Value, attribute: string) => value.attributes[attribute] as ReadonlyArray<number>
const number = (value: Value, attribute: string) => value.attributes[attribute] as number
const flag = (value: Value, attribute: string) => ({ bool: value.attributes[attribute] === true })

/** T is the type of what comes in, which comparisons don't give back. */
const typed = (value: Value): Attributes => ofType((value.inputs[0] ?? value).dtype)
const int32 = { type: "int32" } as const
const float32 = ofType("float32")

const named =
  (op: string): Lowering =>
  (value, builder, inputs) =>
    builder.node(op, inputs, typed(value))

const logical =
  (op: string): Lowering =>
  (_, builder, inputs) =>
    builder.node(op, inputs)

const reduction =
  (op: string): Lowering =>
  (value, builder, [x]) =>
    builder.node(op, [x!, builder.integers(numbers(value, "axes"))], {
      ...typed(value),
      Tidx: int32,
      keep_dims: { bool: true }
    })

const position: Lowering = (value, builder, [x]) =>
  builder.node(value.op, [x!, builder.splat(number(value, "axis"), "int32")], {
    ...typed(value),
    Tidx: int32,
    output_type: int32
  })

const topK: Lowering = (value, builder, [x]) => {
  const values = builder.node("TopKV2", [x!, builder.splat(number(value, "count"), "int32")], {
    ...typed(value),
    sorted: { bool: true }
  })
  builder.once(further(values, 1), () => builder.node("Identity", [`${values}:1`], ofType("int32")))
  return values
}

/** TensorFlow takes it over the last axis only. */
const softmax: Lowering = (value, builder, [x]) => {
  const [axis, last] = [number(value, "axis"), value.shape.length - 1]
  if (axis === last) return builder.node(value.op, [x!], float32)
  const swapped = value.shape.map((_, i) => (i === axis ? last : i === last ? axis : i))
  const turned = (y: string) => builder.node("Transpose", [y, builder.integers(swapped)], { ...float32, Tperm: int32 })
  return turned(builder.node(value.op, [turned(x!)], float32))
}

const slice: Lowering = (value, builder, [x]) => {
  const axes = numbers(value, "axes")
  const of = (attribute: string, otherwise: number) => (_: number, axis: number) => {
    const at = axes.indexOf(axis)
    return at < 0 ? otherwise : numbers(value, attribute)[at]!
  }
  const { shape } = value.inputs[0]!
  const [begin, step] = [shape.map(of("begin", 0)), shape.map(of("step", 1))]
  if (step.every((one) => one === 1))
    return builder.node("Slice", [x!, builder.integers(begin), builder.integers(value.shape)], {
      ...typed(value),
      Index: int32
    })
  const end = begin.map((start, axis) => start + value.shape[axis]! * step[axis]!)
  // A negative end counts from the back; before element 0 there is none but the one that a mask leaves out.
  const mask = end.reduce((bits, after, axis) => (after < 0 ? bits | (1 << axis) : bits), 0)
  return builder.node("StridedSlice", [x!, builder.integers(begin), builder.integers(end), builder.integers(step)], {
    ...typed(value),
    Index: int32,
    end_mask: { int: mask }
  })
}

const pad: Lowering = (value, builder, [x]) => {
  const [pads, rank] = [numbers(value, "pads"), value.shape.length]
  const pairs = value.shape.flatMap((_, axis) => [pads[axis]!, pads[rank + axis]!])
  const fill = builder.splat(number(value, "fill"), value.dtype)
  return builder.node("PadV2", [x!, builder.table(rank, pairs), fill], { ...typed(value), Tpaddings: int32 })
}

const scatterAdd: Lowering = (value, builder, [rows, positions]) =>
  builder.node("UnsortedSegmentSum", [rows!, positions!, builder.splat(value.shape[0]!, "int32")], {
    ...float32,
    Tindices: int32,
    Tnumsegments: int32
  })

/** One element of each row [n, V] at positions [n, 1]. */
const gatherElements: Lowering = (_, builder, [x, positions]) =>
  builder.node("GatherV2", [x!, positions!, builder.splat(1, "int32")], {
    Tparams: { type: "float32" },
    Tindices: int32,
    Taxis: int32,
    batch_dims: { int: 1 }
  })

/** The compiler makes one loop of it. */
const addAt: Lowering = (value, builder, [x, positions, values]) => {
  const [rows, classes] = value.shape as [number, number]
  const flat = builder.node("Reshape", [positions!, builder.integers([rows])], { ...ofType("int32"), Tshape: int32 })
  const [depth, on, off] = [builder.splat(classes, "int32"), builder.splat(1, "float32"), builder.splat(0, "float32")]
  const hot = builder.node("OneHot", [flat, depth, on, off], { ...float32, TI: int32, axis: { int: -1 } })
  return builder.node("AddV2", [x!, builder.node("Mul", [hot, values!], float32)], float32)
}

/** x * Phi(x) */
const gelu: Lowering = (_, builder, [x]) => {
  const erf = builder.node("Erf", [builder.node("Mul", [x!, builder.splat(Math.SQRT1_2, "float32")], float32)], float32)
  const half = builder.splat(0.5, "float32")
  const gate = builder.node("AddV2", [builder.node("Mul", [erf, half], float32), half], float32)
  return builder.node("Mul", [x!, gate], float32)
}

const quickGelu: Lowering = (_, builder, [x]) => {
  const scaled = builder.node("Mul", [x!, builder.splat(1.702, "float32")], float32)
  return builder.node("Mul", [x!, builder.node("Sigmoid", [scaled], float32)], float32)
}

/**
 * Row means and reciprocal standard deviations are also what the gradient reads: the names `further` finds. Not by SquaredDifference:
 * TensorFlow 2.21's optimiser takes that for its own fused LayerNorm, and forgets epsilon, which is 0.001 there.
 */
const layerNorm: Lowering = (value, builder, [x, weight, bias]) => {
  const axis = builder.integers([value.shape.length - 1])
  const mean = (y: string) => builder.node("Mean", [y, axis], { ...float32, Tidx: int32, keep_dims: { bool: true } })
  const op = (name: string, ...operands: ReadonlyArray<string>) => builder.node(name, operands, float32)
  const centre = mean(x!)
  const deviation = op("Sub", x!, centre)
  const variance = mean(op("Square", deviation))
  const reciprocal = op("Rsqrt", op("AddV2", variance, builder.splat(number(value, "epsilon"), "float32")))
  const normalised = op("Mul", deviation, reciprocal)
  const result = op("AddV2", op("Mul", normalised, weight!), bias!)
  builder.once(further(result, 1), () => centre)
  builder.once(further(result, 2), () => reciprocal)
  return result
}

const further = (result: string, index: number): string => `${result} output ${index}`

const out: Lowering = (value, builder, [of]) =>
  builder.once(further(of!, number(value, "index")), () => {
    throw new Error(`no output ${number(value, "index")} of ${value.inputs[0]!.op}`)
  })

const cumulativeSum: Lowering = (value, builder, [x]) =>
  builder.node("Cumsum", [x!, builder.splat(number(value, "axis"), "int32")], {
    ...typed(value),
    Tidx: int32,
    exclusive: flag(value, "exclusive"),
    reverse: flag(value, "reverse")
  })

const sumOfSquares: Lowering = (value, builder, [x]) =>
  reduction("Sum")(value, builder, [builder.node("Square", [x!], typed(value))])

const withShape =
  (op: string, attribute: string): Lowering =>
  (value, builder, [x]) =>
    builder.node(op, [x!, builder.integers(value.shape)], { ...typed(value), [attribute]: int32 })

const elementwise: ReadonlyArray<readonly [string, string]> = [
  ..."Sub Mul Less Greater Equal Pow Neg Abs Sign Relu Exp Log Sqrt Reciprocal Tanh Sigmoid Erf Floor Ceil Round Sin Cos"
    .concat(" Softplus Elu")
    .split(" ")
    .map((op) => [op, op] as const),
  ["Max", "Maximum"],
  ["Min", "Minimum"],
  ["LessOrEqual", "LessEqual"],
  ["GreaterOrEqual", "GreaterEqual"],
  ["IsNaN", "IsNan"],
  ["IsInf", "IsInf"]
]

/** By the names of Graph.ts. Inputs have no node of their own: whoever builds the graph says what they are. */
export const lowerings: Readonly<Record<string, Lowering>> = {
  ...Object.fromEntries(elementwise.map(([op, name]) => [op, named(name)])),
  Div: (value, builder, inputs) =>
    builder.node(value.dtype === "float32" ? "RealDiv" : "TruncateDiv", inputs, typed(value)),
  And: logical("LogicalAnd"),
  Or: logical("LogicalOr"),
  Not: logical("LogicalNot"),
  Gelu: gelu,
  QuickGelu: quickGelu,
  Where: (value, builder, inputs) => builder.node("SelectV2", inputs, ofType(value.dtype)),
  Cast: (value, builder, [x]) => builder.cast(x!, value.inputs[0]!.dtype, value.dtype),
  Constant: (value, builder) => builder.constant(value.data!, value.dtype, value.shape),
  Splat: (value, builder) => builder.splat(splatOf(value)!, value.dtype, value.shape),
  Expand: withShape("BroadcastTo", "Tidx"),
  Reshape: (value, builder, [x]) =>
    view(value, builder, x!, (y, type) =>
      builder.node("Reshape", [y, builder.integers(value.shape)], { ...ofType(type), Tshape: int32 })
    ),
  Transpose: (value, builder, [x]) =>
    view(value, builder, x!, (y, type) =>
      builder.node("Transpose", [y, builder.integers(numbers(value, "perm"))], { ...ofType(type), Tperm: int32 })
    ),
  Concat: (value, builder, inputs) =>
    builder.node("ConcatV2", [...inputs, builder.splat(number(value, "axis"), "int32")], {
      ...typed(value),
      N: { int: inputs.length },
      Tidx: int32
    }),
  Gather: (value, builder, [x, positions]) =>
    builder.node("GatherV2", [x!, positions!, builder.splat(number(value, "axis"), "int32")], {
      Tparams: { type: value.dtype },
      Tindices: int32,
      Taxis: int32
    }),
  Slice: slice,
  Tile: (value, builder, [x]) =>
    builder.node("Tile", [x!, builder.integers(numbers(value, "repeats"))], { ...typed(value), Tmultiples: int32 }),
  Pad: pad,
  ReduceSum: reduction("Sum"),
  ReduceSumSquare: sumOfSquares,
  ReduceMean: reduction("Mean"),
  ReduceMax: reduction("Max"),
  ReduceMin: reduction("Min"),
  ReduceProd: reduction("Prod"),
  ArgMax: position,
  ArgMin: position,
  TopK: topK,
  Softmax: softmax,
  LogSoftmax: softmax,
  CumSum: cumulativeSum,
  Add: add,
  MatMul: matmul,
  ScatterAdd: scatterAdd,
  GatherElements: gatherElements,
  AddAt: addAt,
  LayerNormalization: layerNorm,
  Out: out
}
