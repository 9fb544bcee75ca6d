/** Picking rows by position, and the sum that is its gradient. */
import { showShape, sizeOf } from "../Graph.ts"
import type { Value } from "../Graph.ts"
import { constant, fail, make, splat, splatOf } from "../Recording.ts"
import { binary, cast, where } from "./Elementwise.ts"
import { matmul } from "./MatMul.ts"
import { axisOf, reshape } from "./Shape.ts"

/** `x` at `positions` along `axis`; the first `batchAxes` axes of both go together. */
export function gather(x: Value, positions: Value, axis: number, batchAxes: number): Value {
  if (positions.dtype !== "int32") fail(`positions must be int32, got ${positions.dtype}`)
  const along = axisOf(axis, x.shape.length)
  if (batchAxes > 0) return gatherWithinBatches(x, positions, along, batchAxes)
  const shape = x.shape.toSpliced(along, 1, ...positions.shape)
  const number = splatOf(x)
  return number !== undefined
    ? splat(number, shape, x.dtype)
    : make("Gather", [x, positions], shape, x.dtype, { axis: along })
}

/** Flattens batches and the axis into one, adding each batch's offset to its positions. */
function gatherWithinBatches(x: Value, positions: Value, axis: number, batchAxes: number): Value {
  if (axis !== batchAxes)
    fail(`axis ${axis} with ${batchAxes} batch axes; only the axis right after the batches is supported`)
  const batches = sizeOf(x.shape.slice(0, batchAxes))
  if (sizeOf(positions.shape.slice(0, batchAxes)) !== batches) {
    fail(`batches of ${showShape(x.shape)} and of positions ${showShape(positions.shape)} differ`)
  }
  const length = x.shape[axis]!
  const each = sizeOf(positions.shape) / batches
  const offsets = constant(
    Int32Array.from({ length: batches }, (_, batch) => batch * length),
    [batches, 1],
    "int32"
  )
  const flat = binary("Add", reshape(positions, [batches, each]), offsets)
  const rows = reshape(x, [batches * length, ...x.shape.slice(axis + 1)])
  return reshape(gather(rows, flat, 0, 0), [...positions.shape, ...x.shape.slice(axis + 1)])
}

/**
 * Up to so many rows, a product with zeros and ones is faster than ONNX Runtime's addition of one element after another. With fewer positions
 * than rows, or as many, as where positions of a table or one token a text are picked, neither takes any time, and a short text's program shall be
 * that of a long one.
 */
const fewRows = 128

/** [rows, ...rest]: the rows of `x` [n, ...rest] added up by their position in `positions` [n]. Positions may repeat. */
export function scatterAdd(x: Value, positions: Value, rows: number): Value {
  if (x.dtype !== "float32") fail(`rows to add must be float32, got ${x.dtype}`)
  if (positions.dtype !== "int32") fail(`positions must be int32, got ${positions.dtype}`)
  const lead = positions.shape.length
  if (showShape(x.shape.slice(0, lead)) !== showShape(positions.shape)) {
    fail(`rows ${showShape(x.shape)} for positions ${showShape(positions.shape)}`)
  }
  const rest = x.shape.slice(lead)
  const count = sizeOf(positions.shape)
  if (rows <= fewRows && rows < count) {
    const classes = constant(
      Int32Array.from({ length: rows }, (_, row) => row),
      [rows, 1],
      "int32"
    )
    const hit = cast(binary("Equal", classes, reshape(positions, [1, count])), "float32")
    return reshape(matmul(hit, reshape(x, [count, sizeOf(rest)]), false, false), [rows, ...rest])
  }
  const flat = [reshape(x, [count, sizeOf(rest)]), reshape(positions, [count])]
  return reshape(make("ScatterAdd", flat, [rows, sizeOf(rest)], "float32"), [rows, ...rest])
}

/** [...positions, depth]: `on` at each position, `off` elsewhere; a position outside 0..depth-1 gives a row of `off`. */
export function oneHot(positions: Value, depth: number, on: Value, off: Value): Value {
  const classes = constant(
    Int32Array.from({ length: depth }, (_, index) => index),
    [depth],
    "int32"
  )
  const hit = binary("Equal", reshape(positions, [...positions.shape, 1]), classes)
  return splatOf(on) === 1 && splatOf(off) === 0 ? cast(hit, on.dtype) : where(hit, on, off)
}
