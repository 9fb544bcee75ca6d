/**
 * Inference with weights of 8 bits (`precision: int8`): which products take them, and how they are made.
 *
 *   x [M, in] float32, weight [out, in]   ->   x to uint8 by its own range at each run, times int8 [in, out], times both scales
 *
 * Weights are symmetric with a scale for each output (Jacob et al. 2018, section 2.1; Krishnamoorthi 2018, section 3). Only whole
 * weights on the right of a product are quantised; attention's own products, norms and sums stay float32. The range of x is the whole
 * tensor's, so a row's last digits hang on the rows beside it.
 */
import type { Graph, Value } from "../Graph.ts"
import { processorFlags } from "../InstructionSet.ts"

/** Below this width a product is too small to gain anything, and a head of two classes loses most. */
const narrowest = 64

/** The weight of a product that takes it in 8 bits: its input's name without `w:`. */
export function int8Weight({ op, inputs, attributes }: Value): string | undefined {
  if (op !== "MatMul" || attributes.transposeA === true || attributes.transposeB !== true) return undefined
  const [x, weight] = inputs as [Value, Value]
  const name = weight.op === "Input" ? (weight.attributes.name as string) : ""
  const fits = x.shape.length === 2 && weight.shape.length === 2 && Math.min(...weight.shape) >= narrowest
  return fits && name.startsWith("w:") ? name.slice(2) : undefined
}

export const int8Weights = ({ values }: Graph): ReadonlyArray<string> => [
  ...new Set(values.flatMap((value) => int8Weight(value) ?? []))
]

/** Names of what the worker holds of such a weight: int8 [in, out], and float32 [out]. */
export const int8Names = (weight: string) => ({ values: `q:${weight}`, scales: `qs:${weight}` })

/**
 * The largest weight as an integer. Without VNNI the processor adds two products of uint8 and int8 in 16 bits, which 127 would overflow; 63
 * can't.
 */
export const int8Levels = (): number => (/\bavx(512)?_vnni\b/.test(processorFlags() ?? "") ? 127 : 63)

/** A weight [out, in], row-major, as int8 [in, out] and a scale for each output. */
export function quantized(weight: Float32Array, outputs: number, levels: number) {
  const inputs = weight.length / outputs
  const values = new Int8Array(weight.length)
  const scales = new Float32Array(outputs)
  for (let out = 0; out < outputs; out++) {
    let largest = 0
    for (let i = out * inputs; i < (out + 1) * inputs; i++) largest = Math.max(largest, Math.abs(weight[i]!))
    scales[out] = largest / levels
    const inverse = largest === 0 ? 0 : levels / largest
    for (let i = 0; i < inputs; i++) values[i * outputs + out] = Math.round(weight[out * inputs + i]! * inverse)
  }
  return { values, scales }
}
