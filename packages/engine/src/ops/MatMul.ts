/** Matrix products over broadcast batches. Transposes of the last two axes are folded into the product. */
import { showShape } from "../Graph.ts"
import type { Value } from "../Graph.ts"
import { fail, isSplat, make, splat } from "../Recording.ts"
import { broadcastShape } from "./Elementwise.ts"

export function matmul(a: Value, b: Value, transposeA: boolean, transposeB: boolean): Value {
  if (a.dtype !== "float32" || b.dtype !== "float32")
    fail(`a product of ${a.dtype} and ${b.dtype}; both must be float32`)
  if (a.shape.length < 2 || b.shape.length < 2) fail(`a product of ${showShape(a.shape)} and ${showShape(b.shape)}`)
  if (swapsLastTwo(a)) return matmul(a.inputs[0]!, b, !transposeA, transposeB)
  if (swapsLastTwo(b)) return matmul(a, b.inputs[0]!, transposeA, !transposeB)
  const [rows, innerA] = lastTwo(a, transposeA)
  const [innerB, columns] = lastTwo(b, transposeB)
  if (innerA !== innerB) {
    const shown = (value: Value, transposed: boolean) => showShape(value.shape) + (transposed ? " transposed" : "")
    fail(`inner lengths differ: ${shown(a, transposeA)} by ${shown(b, transposeB)} is ${innerA} against ${innerB}`)
  }
  const shape = [...broadcastShape(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns]
  if (isSplat(a, 0) || isSplat(b, 0)) return splat(0, shape, "float32")
  return make("MatMul", [a, b], shape, "float32", { transposeA, transposeB })
}

function lastTwo(value: Value, transposed: boolean): readonly [number, number] {
  const [first, second] = value.shape.slice(-2) as [number, number]
  return transposed ? [second, first] : [first, second]
}

function swapsLastTwo(value: Value): boolean {
  if (value.op !== "Transpose") return false
  const permutation = value.attributes.perm as ReadonlyArray<number>
  const rank = permutation.length
  return permutation.every((axis, index) => axis === (index < rank - 2 ? index : 2 * rank - 3 - index))
}
