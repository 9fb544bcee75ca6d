/** Operations that move elements without computing: views where the elements stay in order, copies otherwise. */
import { sameShape, showShape, sizeOf } from "../Graph.ts"
import type { Value } from "../Graph.ts"
import { constant, fail, make, splat, splatOf } from "../Recording.ts"

/** An axis counted from the end becomes one counted from the front. */
export function axisOf(axis: number, rank: number): number {
  const front = axis < 0 ? axis + rank : axis
  if (!Number.isInteger(front) || front < 0 || front >= rank) fail(`axis ${axis} of a tensor of rank ${rank}`)
  return front
}

export function expand(x: Value, shape: ReadonlyArray<number>): Value {
  if (sameShape(x.shape, shape)) return x
  const offset = shape.length - x.shape.length
  if (offset < 0 || !x.shape.every((length, axis) => length === 1 || length === shape[axis + offset])) {
    fail(`${showShape(x.shape)} does not broadcast to ${showShape(shape)}`)
  }
  const number = splatOf(x)
  if (number !== undefined) return splat(number, shape, x.dtype)
  return make("Expand", [x.op === "Expand" && x.shape.length === shape.length ? x.inputs[0]! : x], shape, x.dtype)
}

export function reshape(x: Value, shape: ReadonlyArray<number>): Value {
  if (sizeOf(shape) !== sizeOf(x.shape)) {
    fail(`${showShape(x.shape)} has ${sizeOf(x.shape)} elements, ${showShape(shape)} has ${sizeOf(shape)}`)
  }
  if (sameShape(x.shape, shape)) return x
  const number = splatOf(x)
  if (number !== undefined) return splat(number, shape, x.dtype)
  if (x.op === "Reshape") return reshape(x.inputs[0]!, shape)
  if (x.data !== undefined) return constant(x.data, shape, x.dtype)
  return make("Reshape", [x], shape, x.dtype)
}

export function transpose(x: Value, permutation: ReadonlyArray<number>): Value {
  const axes = permutation.map((axis) => axisOf(axis, x.shape.length))
  if (axes.length !== x.shape.length || new Set(axes).size !== axes.length) {
    fail(`permutation ${showShape(permutation)} of a tensor ${showShape(x.shape)}`)
  }
  const shape = axes.map((axis) => x.shape[axis]!)
  const number = splatOf(x)
  if (number !== undefined) return splat(number, shape, x.dtype)
  const moved = axes.filter((axis) => x.shape[axis] !== 1)
  if (moved.every((axis, index) => index === 0 || moved[index - 1]! < axis)) return reshape(x, shape)
  if (x.op === "Transpose") {
    const inner = x.attributes.perm as ReadonlyArray<number>
    return transpose(
      x.inputs[0]!,
      axes.map((axis) => inner[axis]!)
    )
  }
  return make("Transpose", [x], shape, x.dtype, { perm: axes })
}

export function concat(parts: ReadonlyArray<Value>, axis: number): Value {
  const first = parts[0] ?? fail("nothing to concatenate")
  const along = axisOf(axis, first.shape.length)
  for (const part of parts) {
    if (part.dtype !== first.dtype) fail(`parts of ${first.dtype} and ${part.dtype}; cast one of them`)
    const fits =
      part.shape.length === first.shape.length &&
      part.shape.every((length, other) => other === along || length === first.shape[other])
    if (!fits) fail(`parts ${showShape(first.shape)} and ${showShape(part.shape)} differ off axis ${along}`)
  }
  if (parts.length === 1) return first
  const length = parts.reduce((sum, part) => sum + part.shape[along]!, 0)
  return make("Concat", parts, first.shape.with(along, length), first.dtype, { axis: along })
}

/** Elements `begin` to `begin + size` on each axis, every `step`-th of them. */
export function slice(
  x: Value,
  begin: ReadonlyArray<number>,
  size: ReadonlyArray<number>,
  step: ReadonlyArray<number> = begin.map(() => 1)
): Value {
  if (begin.length !== x.shape.length || size.length !== x.shape.length) {
    fail(`a slice of ${begin.length} axes of a tensor ${showShape(x.shape)}`)
  }
  const fits = x.shape.every((length, axis) => {
    const last = begin[axis]! + (size[axis]! - 1) * step[axis]!
    return size[axis]! > 0 && begin[axis]! >= 0 && begin[axis]! < length && last >= 0 && last < length
  })
  if (!fits) fail(`begin ${showShape(begin)}, size ${showShape(size)} leave a tensor ${showShape(x.shape)}`)
  const axes = x.shape.map((_, axis) => axis).filter((axis) => size[axis] !== x.shape[axis] || step[axis] !== 1)
  if (axes.length === 0) return x
  const number = splatOf(x)
  if (number !== undefined) return splat(number, size, x.dtype)
  const pick = (of: ReadonlyArray<number>) => axes.map((axis) => of[axis]!)
  return make("Slice", [x], size, x.dtype, { begin: pick(begin), size: pick(size), step: pick(step), axes })
}

/** Cuts `x` along an axis into parts of these lengths. */
export function split(x: Value, lengths: ReadonlyArray<number>, axis: number): ReadonlyArray<Value> {
  let start = 0
  return lengths.map((length) => {
    const begin = x.shape.map((_, other) => (other === axis ? start : 0))
    start += length
    return slice(x, begin, x.shape.with(axis, length))
  })
}

export function pad(x: Value, paddings: ReadonlyArray<readonly [number, number]>, fill: number): Value {
  if (paddings.length !== x.shape.length) fail(`${paddings.length} paddings of a tensor ${showShape(x.shape)}`)
  if (paddings.every(([before, after]) => before === 0 && after === 0)) return x
  const shape = x.shape.map((length, axis) => length + paddings[axis]![0] + paddings[axis]![1])
  const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)]
  return make("Pad", [x], shape, x.dtype, { pads, fill })
}

export function tile(x: Value, repeats: ReadonlyArray<number>): Value {
  if (repeats.length !== x.shape.length) fail(`${repeats.length} repeats of a tensor ${showShape(x.shape)}`)
  const shape = x.shape.map((length, axis) => length * repeats[axis]!)
  if (x.shape.every((length, axis) => length === 1 || repeats[axis] === 1)) return expand(x, shape)
  return make("Tile", [x], shape, x.dtype, { repeats })
}
