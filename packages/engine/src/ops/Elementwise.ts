/**
 * Elementwise operations with broadcasting, and the rules that drop those that change nothing.
 *
 * A rule never changes a finite result by more than one rounding. Multiplying by a constant zero gives zero even where the
 * other factor is NaN or infinite; the trainer's check reads losses and gradients, not such products.
 */
import { sameShape, showShape } from "../Graph.ts"
import type { Value } from "../Graph.ts"
import type { DType } from "../Program.ts"
import { fail, isSplat, make, splat, splatOf } from "../Recording.ts"
import { expand } from "./Shape.ts"

/** NumPy's broadcast of two shapes. */
export function broadcastShape(a: ReadonlyArray<number>, b: ReadonlyArray<number>): ReadonlyArray<number> {
  const rank = Math.max(a.length, b.length)
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1
    const right = b[axis - rank + b.length] ?? 1
    if (left !== right && left !== 1 && right !== 1) {
      fail(`shapes ${showShape(a)} and ${showShape(b)} don't broadcast: ${left} against ${right}`)
    }
    return left === 1 ? right : left
  })
}

const comparisons = new Set(["Equal", "Less", "LessOrEqual", "Greater", "GreaterOrEqual"])
const logic = new Set(["And", "Or", "Not"])
const floatOnly = new Set(
  "Exp Log Sqrt Reciprocal Tanh Sigmoid Erf Floor Ceil Round Sin Cos Softplus Elu IsNaN IsInf Gelu QuickGelu".split(" ")
)

const folds: Readonly<Record<string, (a: number, b: number) => number>> = {
  Add: (a, b) => a + b,
  Sub: (a, b) => a - b,
  Mul: (a, b) => a * b,
  Div: (a, b) => a / b,
  Max: Math.max,
  Min: Math.min,
  Pow: Math.pow
}

export function unary(op: string, x: Value): Value {
  if (floatOnly.has(op) && x.dtype !== "float32") fail(`${op} needs float32, got ${x.dtype}`)
  if (logic.has(op) && x.dtype !== "bool") fail(`${op} needs bool, got ${x.dtype}`)
  const number = splatOf(x)
  if (op === "Neg" && number !== undefined) return splat(-number, x.shape, x.dtype)
  if ((op === "Neg" || op === "Not") && x.op === op) return x.inputs[0]!
  if (x.op === "Expand") return expand(unary(op, x.inputs[0]!), x.shape)
  return make(op, [x], x.shape, op === "IsNaN" || op === "IsInf" ? "bool" : x.dtype)
}

export function binary(op: string, a: Value, b: Value): Value {
  checkOperands(op, a, b)
  const shape = broadcastShape(a.shape, b.shape)
  const dtype: DType = comparisons.has(op) || logic.has(op) ? "bool" : a.dtype
  const simpler = dtype === "float32" ? simplify(op, a, b, shape) : undefined
  if (simpler !== undefined) return simpler
  const left = withoutExpand(a, b, shape)
  return make(op, [left, withoutExpand(b, left, shape)], shape, dtype)
}

function checkOperands(op: string, a: Value, b: Value): void {
  if (a.dtype !== b.dtype) fail(`${op} of ${a.dtype} and ${b.dtype}; cast one of them`)
  const wantsBool = logic.has(op)
  if (wantsBool !== (a.dtype === "bool") && op !== "Equal") fail(`${op} of ${a.dtype} operands`)
}

function simplify(op: string, a: Value, b: Value, shape: ReadonlyArray<number>): Value | undefined {
  const left = splatOf(a)
  const right = splatOf(b)
  if (left !== undefined && right !== undefined && op in folds) return splat(folds[op]!(left, right), shape, "float32")
  switch (op) {
    case "Add":
      return right === 0
        ? expand(a, shape)
        : left === 0
          ? expand(b, shape)
          : b.op === "Neg"
            ? binary("Sub", a, b.inputs[0]!)
            : undefined
    case "Sub":
      return right === 0
        ? expand(a, shape)
        : left === 0
          ? expand(unary("Neg", b), shape)
          : b.op === "Neg"
            ? binary("Add", a, b.inputs[0]!)
            : undefined
    case "Mul":
      return simplifyProduct(a, b, shape)
    case "Div":
      return right === 1
        ? expand(a, shape)
        : right !== undefined && isPowerOfTwo(right)
          ? binary("Mul", a, splat(1 / right, b.shape, "float32"))
          : undefined
    case "Pow":
      return right === 1
        ? expand(a, shape)
        : right === 2
          ? expand(binary("Mul", a, a), shape)
          : right === 0.5
            ? expand(unary("Sqrt", a), shape)
            : undefined
    default:
      return undefined
  }
}

function simplifyProduct(a: Value, b: Value, shape: ReadonlyArray<number>): Value | undefined {
  const left = splatOf(a)
  const right = splatOf(b)
  if (left === 0 || right === 0) return splat(0, shape, "float32")
  if (right === 1) return expand(a, shape)
  if (left !== undefined) return binary("Mul", b, a)
  if (right === undefined || !sameShape(a.shape, shape)) return undefined
  if (right === -1) return unary("Neg", a)
  const inner = a.op === "Mul" ? splatOf(a.inputs[1]!) : undefined
  return inner === undefined ? undefined : binary("Mul", a.inputs[0]!, splat(inner * right, [], "float32"))
}

const isPowerOfTwo = (number: number): boolean => Number.isInteger(Math.log2(Math.abs(number)))

/** Without an Expand that broadcasting makes needless; a Splat as a scalar. */
function withoutExpand(x: Value, other: Value, shape: ReadonlyArray<number>): Value {
  const source = x.op === "Expand" ? x.inputs[0]! : undefined
  if (source !== undefined && sameShape(broadcastShape(source.shape, other.shape), shape)) return source
  const number = splatOf(x)
  return number !== undefined && sameShape(other.shape, shape) ? splat(number, [], x.dtype) : x
}

export function cast(x: Value, dtype: DType): Value {
  if (x.dtype === dtype) return x
  const number = splatOf(x)
  if (number !== undefined) {
    return splat(
      dtype === "int32" ? Math.trunc(number) : dtype === "bool" ? Number(number !== 0) : number,
      x.shape,
      dtype
    )
  }
  if (x.op === "Expand") return expand(cast(x.inputs[0]!, dtype), x.shape)
  return make("Cast", [x], x.shape, dtype)
}

/** `yes` where `condition`, else `no`; all three broadcast. */
export function where(condition: Value, yes: Value, no: Value): Value {
  if (condition.dtype !== "bool") fail(`the condition must be bool, got ${condition.dtype}`)
  if (yes.dtype !== no.dtype) fail(`branches of ${yes.dtype} and ${no.dtype}; cast one of them`)
  const shape = broadcastShape(condition.shape, broadcastShape(yes.shape, no.shape))
  if (isSplat(condition, 1)) return expand(yes, shape)
  if (isSplat(condition, 0)) return expand(no, shape)
  if (yes.dtype === "bool") {
    return binary("Or", binary("And", condition, yes), binary("And", unary("Not", condition), no))
  }
  const scalar = (branch: Value) => {
    const number = splatOf(branch)
    return number === undefined ? branch : splat(number, [], branch.dtype)
  }
  const branches = [scalar(yes), scalar(no)] as const
  const fits = sameShape(broadcastShape(condition.shape, broadcastShape(branches[0].shape, branches[1].shape)), shape)
  return make("Where", [condition, ...(fits ? branches : [yes, no])], shape, yes.dtype)
}

export const float = (number: number): Value => splat(number, [], "float32")
