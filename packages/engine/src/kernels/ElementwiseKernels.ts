/** Kernels that compute each element by itself, with broadcasting. */
import type { DType } from "../Program.ts"
import { binary, cast, float, unary, where } from "../ops/Elementwise.ts"
import { reshape } from "../ops/Shape.ts"
import type { Value } from "../Graph.ts"
import { sizeOf } from "../Graph.ts"
import { fail, splat } from "../Recording.ts"
import type { Kernel } from "./Kernel.ts"
import { kernel, listed } from "./Kernel.ts"

const number = "float32 or int32"

const binaryKernels = Object.entries({
  Add: "Add",
  Sub: "Sub",
  Multiply: "Mul",
  RealDiv: "Div",
  Maximum: "Max",
  Minimum: "Min",
  Pow: "Pow"
}).map(([name, op]) => kernel(name, number, ({ a, b }) => binary(op, a!, b!)))

const comparisonKernels = Object.entries({
  Equal: "Equal",
  Less: "Less",
  LessEqual: "LessOrEqual",
  Greater: "Greater",
  GreaterEqual: "GreaterOrEqual",
  LogicalAnd: "And",
  LogicalOr: "Or"
}).map(([name, op]) =>
  kernel(name, op === "And" || op === "Or" ? "bool" : `${number}; gives bool`, ({ a, b }) => binary(op, a!, b!))
)

const unaryKernels = [
  ..."Exp Log Sqrt Reciprocal Tanh Sigmoid Erf Floor Ceil Round Sin Cos Softplus Elu"
    .split(" ")
    .map((name) => [name, name, "float32"]),
  ..."Neg Abs Sign Relu".split(" ").map((name) => [name, name, number]),
  ["IsNan", "IsNaN", "float32; gives bool"],
  ["IsInf", "IsInf", "float32; gives bool"],
  ["LogicalNot", "Not", "bool"]
].map(([name, op, note]) => kernel(name!, note!, ({ x }) => unary(op!, x!)))

/** Rounds towards minus infinity, as tfjs does; ONNX divides integers towards zero. */
function floorDivide(a: Value, b: Value): Value {
  if (a.dtype === "float32") return unary("Floor", binary("Div", a, b))
  const quotient = binary("Div", a, b)
  const zero = splat(0, [], "int32")
  const inexact = unary("Not", binary("Equal", binary("Mul", quotient, b), a))
  const signsDiffer = unary("Not", binary("Equal", binary("Less", a, zero), binary("Less", b, zero)))
  return where(binary("And", inexact, signsDiffer), binary("Sub", quotient, splat(1, [], "int32")), quotient)
}

/** tfjs's Select also takes a condition of rank 1 that picks whole rows. */
function select(condition: Value, yes: Value, no: Value): Value {
  const rows = condition.shape.length === 1 && yes.shape.length > 1
  return where(
    rows ? reshape(condition, [sizeOf(condition.shape), ...yes.shape.slice(1).map(() => 1)]) : condition,
    yes,
    no
  )
}

export const dtypeOf = (dtype: unknown): DType =>
  dtype === "float32" || dtype === "int32" || dtype === "bool"
    ? dtype
    : fail(`dtype ${String(dtype)} can't be captured; float32, int32 and bool can`, "InvalidProgram")

const one = (like: Value) => splat(1, [], like.dtype)

export const elementwiseKernels: ReadonlyArray<Kernel> = [
  ...binaryKernels,
  ...comparisonKernels,
  ...unaryKernels,
  kernel("AddN", number, (inputs) => listed(inputs).reduce((sum, next) => binary("Add", sum, next))),
  kernel("NotEqual", `${number} or bool; gives bool`, ({ a, b }) => unary("Not", binary("Equal", a!, b!))),
  kernel("FloorDiv", number, ({ a, b }) => floorDivide(a!, b!)),
  kernel("Mod", `${number}; the sign of the divisor`, ({ a, b }) =>
    binary("Sub", a!, binary("Mul", floorDivide(a!, b!), b!))
  ),
  kernel("SquaredDifference", number, ({ a, b }) => {
    const difference = binary("Sub", a!, b!)
    return binary("Mul", difference, difference)
  }),
  kernel("Square", number, ({ x }) => binary("Mul", x!, x!)),
  kernel("Rsqrt", "float32", ({ x }) => unary("Reciprocal", unary("Sqrt", x!))),
  kernel("Log1p", "float32; log(1 + x), without tfjs's accuracy near 0", ({ x }) =>
    unary("Log", binary("Add", x!, one(x!)))
  ),
  kernel("Expm1", "float32; exp(x) - 1, without tfjs's accuracy near 0", ({ x }) =>
    binary("Sub", unary("Exp", x!), one(x!))
  ),
  kernel("Relu6", "float32", ({ x }) => binary("Min", unary("Relu", x!), float(6))),
  kernel("Step", "float32; only alpha 0", ({ x }, { alpha }) =>
    (alpha as number | undefined)
      ? fail(`alpha ${JSON.stringify(alpha)}; only 0 is supported`)
      : cast(binary("Greater", x!, float(0)), "float32")
  ),
  kernel("ClipByValue", number, ({ x }, { clipValueMin, clipValueMax }) => {
    const bound = (limit: unknown) => splat(limit as number, [], x!.dtype)
    return binary("Min", binary("Max", x!, bound(clipValueMin)), bound(clipValueMax))
  }),
  kernel("IsFinite", "float32; gives bool", ({ x }) =>
    unary("Not", binary("Or", unary("IsNaN", x!), unary("IsInf", x!)))
  ),
  kernel("Select", "condition bool", ({ condition, t, e }) => select(condition!, t!, e!)),
  kernel("Cast", "between float32, int32 and bool", ({ x }, { dtype }) => cast(x!, dtypeOf(dtype))),
  kernel("Identity", "any", ({ x }) => x!),
  kernel("ZerosLike", "any", ({ x }) => splat(0, x!.shape, x!.dtype)),
  kernel("OnesLike", "any", ({ x }) => splat(1, x!.shape, x!.dtype))
]
