/**
 * Products of stacks of matrices take a constant factor of an operand or of their result as their own: attention's 1 / sqrt(d), in the forward
 * pass and twice in the backward pass (Vaswani et al. 2017, section 3.2.1). The scaled copies [B, H, T, d] are then never made.
 */
import type { Value } from "../Graph.ts"
import type { Rule } from "../RewriteGraph.ts"
import { splatOf } from "../Recording.ts"

const isStack = ({ op, shape }: Value): boolean => op === "MatMul" && shape.length > 2

/** The number that a value is a multiple by. */
const factorOf = ({ op, inputs }: Value): number | undefined =>
  op === "Mul" && inputs[1]!.shape.length === 0 ? splatOf(inputs[1]!) : undefined

const timesFactor = (product: Value, factor: number): Value["attributes"] => ({
  ...product.attributes,
  alpha: ((product.attributes.alpha as number | undefined) ?? 1) * factor
})

/** Of a product that others read too, the multiple stays an operation. */
export const foldScale: Rule = (value, { isShared }) => {
  if (isStack(value)) {
    const factors = value.inputs.map((input) => factorOf(input) ?? 1)
    const factor = factors[0]! * factors[1]!
    if (factor === 1) return value
    const inputs = value.inputs.map((input, index) => (factors[index] === 1 ? input : input.inputs[0]!))
    return { ...value, inputs, attributes: timesFactor(value, factor) }
  }
  const factor = factorOf(value)
  const product = value.inputs[0]
  if (factor === undefined || product === undefined || !isStack(product) || isShared(product)) return value
  return { ...product, attributes: timesFactor(product, factor) }
}
