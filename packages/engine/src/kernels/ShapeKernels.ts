/** Kernels that move, cut and repeat elements, and those that make tensors out of nothing. */
import type { NamedAttrMap } from "@tensorflow/tfjs-core"
import { slice_util } from "@tensorflow/tfjs-core"
import type { Value } from "../Graph.ts"
import { sizeOf } from "../Graph.ts"
import { axisOf, concat, expand, pad, reshape, slice, split, tile, transpose } from "../ops/Shape.ts"
import { constant, fail, splat } from "../Recording.ts"
import { dtypeOf } from "./ElementwiseKernels.ts"
import type { Kernel } from "./Kernel.ts"
import { kernel, listed } from "./Kernel.ts"

const withAxis = (x: Value, axis: number): Value => reshape(x, x.shape.toSpliced(axis, 0, 1))

const numbers = (attribute: unknown): ReadonlyArray<number> =>
  typeof attribute === "number" ? [attribute] : (attribute as ReadonlyArray<number>)

/** A shape with one -1 in it, which stands for what is left of `size` elements. */
function completeShape(shape: ReadonlyArray<number>, size: number): ReadonlyArray<number> {
  const known = shape.filter((length) => length !== -1).reduce((product, length) => product * length, 1)
  return shape.map((length) => (length === -1 ? size / known : length))
}

function sliceKernel(x: Value, { begin, size }: NamedAttrMap): Value {
  const starts = numbers(begin)
  const lengths = size === null || size === undefined ? [] : numbers(size)
  const start = x.shape.map((_, axis) => starts[axis] ?? 0)
  return slice(
    x,
    start,
    x.shape.map((length, axis) => {
      const wanted = lengths[axis] ?? -1
      return wanted === -1 ? length - start[axis]! : wanted
    })
  )
}

function stridedSlice(x: Value, attributes: NamedAttrMap): Value {
  const { begin, end, strides } = attributes as unknown as Record<string, Array<number>>
  const { beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attributes as Record<string, number>
  const info = slice_util.sliceInfo(
    [...x.shape],
    begin!,
    end!,
    strides!,
    beginMask!,
    endMask!,
    ellipsisMask!,
    newAxisMask!,
    shrinkAxisMask!
  )
  const size = slice_util.computeOutShape(info.begin, info.end, info.strides)
  return reshape(slice(x, info.begin, size, info.strides), info.finalShape)
}

function splitSizes(x: Value, axis: number, sizes: unknown): ReadonlyArray<number> {
  const length = x.shape[axis]!
  const parts =
    typeof sizes === "number" ? Array.from({ length: sizes }, () => length / sizes) : (sizes as ReadonlyArray<number>)
  const rest = length - parts.filter((part) => part !== -1).reduce((sum, part) => sum + part, 0)
  const full = parts.map((part) => (part === -1 ? rest : part))
  const even = full.every((part) => Number.isInteger(part)) && full.reduce((sum, part) => sum + part, 0) === length
  return even ? full : fail(`axis ${axis} of length ${length} doesn't split into ${JSON.stringify(sizes)}`)
}

function range({ start, stop, step, dtype }: NamedAttrMap): Value {
  const [first, last, by] = [start as number, stop as number, (step as number | undefined) ?? 1]
  const length = Math.max(0, Math.ceil((last - first) / by))
  const kind = dtypeOf(dtype ?? "float32")
  const steps = Array.from({ length }, (_, index) => first + index * by)
  const data = kind === "int32" ? Int32Array.from(steps) : Float32Array.from(steps)
  return constant(data, [length], kind)
}

export const shapeKernels: ReadonlyArray<Kernel> = [
  kernel("Reshape", "any", ({ x }, { shape }) => reshape(x!, completeShape(numbers(shape), sizeOf(x!.shape)))),
  kernel("ExpandDims", "any", ({ input }, { dim }) => withAxis(input!, axisOf(dim as number, input!.shape.length + 1))),
  kernel("Transpose", "any", ({ x }, { perm }) => transpose(x!, numbers(perm))),
  kernel("Slice", "any", ({ x }, attributes) => sliceKernel(x!, attributes)),
  kernel("StridedSlice", "any", ({ x }, attributes) => stridedSlice(x!, attributes)),
  kernel("Concat", "any", (inputs, { axis }) => concat(listed(inputs), axis as number)),
  kernel("Pack", "any", (inputs, { axis }) => {
    const parts = listed(inputs)
    const along = axisOf(axis as number, parts[0]!.shape.length + 1)
    return concat(
      parts.map((part) => withAxis(part, along)),
      along
    )
  }),
  kernel("Unpack", "any", ({ value }, { axis }) => {
    const along = axisOf(axis as number, value!.shape.length)
    const ones = Array.from({ length: value!.shape[along]! }, () => 1)
    return split(value!, ones, along).map((part) => reshape(part, value!.shape.toSpliced(along, 1)))
  }),
  kernel("SplitV", "any", ({ x }, { axis, numOrSizeSplits }) => {
    const along = axisOf(axis as number, x!.shape.length)
    return split(x!, splitSizes(x!, along, numOrSizeSplits), along)
  }),
  kernel("Tile", "any", ({ x }, { reps }) => tile(x!, numbers(reps))),
  kernel("BroadcastTo", "any", ({ x }, { shape }) => expand(x!, numbers(shape))),
  kernel("PadV2", "any", ({ x }, { paddings, constantValue }) =>
    pad(x!, paddings as unknown as ReadonlyArray<readonly [number, number]>, constantValue as number)
  ),
  kernel("Reverse", "any", ({ x }, { dims }) => {
    const axes = numbers(dims).map((axis) => axisOf(axis, x!.shape.length))
    const turned = (axis: number) => axes.includes(axis)
    const begin = x!.shape.map((length, axis) => (turned(axis) ? length - 1 : 0))
    return slice(
      x!,
      begin,
      x!.shape,
      x!.shape.map((_, axis) => (turned(axis) ? -1 : 1))
    )
  }),
  kernel("Fill", "any", (_, { shape, value, dtype }) =>
    splat(Number(value), numbers(shape), dtypeOf(dtype ?? "float32"))
  ),
  kernel("Range", "float32 or int32", (_, attributes) => range(attributes))
]
