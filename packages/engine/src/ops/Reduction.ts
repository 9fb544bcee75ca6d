/** Reductions over axes, softmax, running sums and positions of extremes. */
import { sameShape, showShape, sizeOf } from "../Graph.ts"
import type { Value } from "../Graph.ts"
import { fail, make, splat, splatOf } from "../Recording.ts"
import { unary } from "./Elementwise.ts"
import { matmul } from "./MatMul.ts"
import { axisOf, reshape } from "./Shape.ts"

export type Reduction = "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd"

/** tfjs's axis argument: absent means all. */
export function axesOf(axis: number | ReadonlyArray<number> | null | undefined, rank: number): ReadonlyArray<number> {
  const listed =
    axis === null || axis === undefined
      ? Array.from({ length: rank }, (_, index) => index)
      : typeof axis === "number"
        ? [axis]
        : axis
  return [...new Set(listed.map((one) => axisOf(one, rank)))].sort((a, b) => a - b)
}

export function reduce(op: Reduction, x: Value, axes: ReadonlyArray<number>, keepDims: boolean): Value {
  if (x.dtype === "bool") fail(`${op} of bool; cast it first`)
  const shape = keepDims
    ? x.shape.map((length, axis) => (axes.includes(axis) ? 1 : length))
    : x.shape.filter((_, axis) => !axes.includes(axis))
  const long = axes.filter((axis) => x.shape[axis] !== 1)
  if (long.length === 0) return reshape(x, shape)
  const count = long.reduce((product, axis) => product * x.shape[axis]!, 1)
  const number = splatOf(x)
  if (number !== undefined && op === "ReduceSum") return splat(number * count, shape, x.dtype)
  if (number !== undefined && op !== "ReduceProd") return splat(number, shape, x.dtype)
  if (op === "ReduceSum" && x.op === "Neg") return unary("Neg", reduce(op, x.inputs[0]!, axes, keepDims))
  const leading =
    sameShape(
      long,
      long.map((_, index) => index)
    ) && long.length < x.shape.length
  if (op === "ReduceSum" && leading && x.dtype === "float32" && count >= 64) {
    // ONNX Runtime sums the columns of a tall matrix far slower than its matrix product with a row of ones does.
    const ones = splat(1, [1, count], "float32")
    return reshape(matmul(ones, reshape(x, [count, sizeOf(x.shape) / count]), false, false), shape)
  }
  const kept = x.shape.map((length, axis) => (long.includes(axis) ? 1 : length))
  if (op === "ReduceSum" && x.op === "Mul" && x.inputs[0] === x.inputs[1] && sameShape(x.inputs[0]!.shape, x.shape)) {
    return reshape(make("ReduceSumSquare", [x.inputs[0]!], kept, x.dtype, { axes: long }), shape)
  }
  return reshape(make(op, [x], kept, x.dtype, { axes: long }), shape)
}

/** int32 positions of the first largest (ArgMax) or smallest (ArgMin) element along an axis. */
export function extremePosition(op: "ArgMax" | "ArgMin", x: Value, axis: number): Value {
  if (x.dtype === "bool") fail(`${op} of bool; cast it first`)
  const along = axisOf(axis, x.shape.length)
  return make(op, [x], x.shape.toSpliced(along, 1), "int32", { axis: along })
}

/** The `count` largest along the last axis, the largest first and the first of equals before the others, and their int32 positions. */
export function largest(x: Value, count: number): ReadonlyArray<Value> {
  if (x.dtype !== "float32") fail(`TopK needs float32, got ${x.dtype}`)
  const length = x.shape.at(-1)
  if (length === undefined || count < 1 || count > length) fail(`${count} of ${showShape(x.shape)}`)
  const shape = [...x.shape.slice(0, -1), count]
  const values = make("TopK", [x], shape, x.dtype, { count })
  return [values, make("Out", [values], shape, "int32", { index: 1 })]
}

export function softmax(op: "Softmax" | "LogSoftmax", x: Value, axis: number): Value {
  if (x.dtype !== "float32") fail(`${op} needs float32, got ${x.dtype}`)
  return make(op, [x], x.shape, x.dtype, { axis: axisOf(axis, x.shape.length) })
}

export function cumulativeSum(x: Value, axis: number, exclusive: boolean, reverse: boolean): Value {
  if (x.dtype === "bool") fail("a running sum of bool; cast it first")
  return make("CumSum", [x], x.shape, x.dtype, { axis: axisOf(axis, x.shape.length), exclusive, reverse })
}
