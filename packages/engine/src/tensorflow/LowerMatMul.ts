/**
 * Matrix products. In bf16 the operands are rounded and the sums inside a product are float32's, as PyTorch's autocast has it; weights,
 * moments, gradients' sums and everything between products stay float32. Between two products where a tensor is only turned, or a bias is
 * added, nothing is: it stays in bfloat16.
 */
import type { Value } from "../Graph.ts"
import { isSplat } from "../Recording.ts"
import { ofType } from "./GraphBuilder.ts"
import type { GraphBuilder } from "./GraphBuilder.ts"
import type { Lowering } from "./LowerOperation.ts"
import type { TensorflowType } from "./SavedModel.ts"

export const matmul: Lowering = (value, builder, inputs) => {
  const [a, b] = value.inputs as [Value, Value]
  const [transposeA, transposeB] = [value.attributes.transposeA === true, value.attributes.transposeB === true]
  if (isSplat(a, 1) && a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === 1 && !transposeA && !transposeB)
    return columnSums(builder, inputs[1]!)
  const flat = a.shape.length === 2 && b.shape.length === 2
  const op = flat ? "MatMul" : "BatchMatMulV2"
  const transposes = flat
    ? { transpose_a: { bool: transposeA }, transpose_b: { bool: transposeB } }
    : { adj_x: { bool: transposeA }, adj_y: { bool: transposeB } }
  if (builder.precision === "fp32" || isVector(value))
    return builder.node(op, inputs, { ...ofType("float32"), ...transposes })
  const rounded = inputs.map((input) => builder.rounded(input))
  const product = builder.node(op, rounded, { ...ofType("bfloat16"), ...transposes })
  const result = builder.cast(product, "bfloat16", "float32")
  builder.rounding(result, () => product)
  return result
}

/** TensorFlow's optimiser makes one operation of a product and the bias added to it. */
export const add: Lowering = (value, builder, inputs) => {
  const [product, bias] = value.inputs as [Value, Value]
  const sum = builder.node("AddV2", inputs, ofType(value.dtype))
  const isBias = product.op === "MatMul" && product.shape.length === 2 && bias.shape.length === 1 && bias.op === "Input"
  if (isBias && builder.precision === "bf16")
    builder.rounding(sum, () =>
      builder.node(
        "BiasAdd",
        inputs.map((input) => builder.rounded(input)),
        ofType("bfloat16")
      )
    )
  return sum
}

/** A change of shape: rounded before or after, it is the same. */
export const view = (
  value: Value,
  builder: GraphBuilder,
  x: string,
  make: (x: string, type: TensorflowType) => string
): string => {
  const result = make(x, value.dtype)
  if (builder.precision === "bf16" && value.dtype === "float32")
    builder.rounding(result, () => make(builder.rounded(x), "bfloat16"))
  return result
}

/** Sums of rows or columns written as products: no work, and rounding them would cost accuracy. */
const isVector = ({ shape }: Value): boolean => shape.at(-1) === 1 || shape.at(-2) === 1

/** Capture writes the columns' sums of a tall matrix as a product with a row of ones, for ONNX Runtime's sake. */
const columnSums = (builder: GraphBuilder, x: string): string =>
  builder.node("Sum", [x, builder.integers([0])], {
    ...ofType("float32"),
    Tidx: { type: "int32" },
    keep_dims: { bool: true }
  })
