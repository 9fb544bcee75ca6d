/**
 * float32 as the 16-bit floats that checkpoints are stored in, rounded to nearest, ties to even, as PyTorch does.
 *
 *   F16   IEEE 754 binary16: sign, 5 bits of exponent, 10 of fraction; from 65520 on it is infinite
 *   BF16  the upper half of a float32: sign, 8 bits of exponent, 7 of fraction
 */

const bitsOf = (values: Float32Array): Uint32Array => new Uint32Array(values.buffer, values.byteOffset, values.length)

/** 2 to the -14th, the least normal F16, and 2 to the 16th, as bits of float32. */
const leastNormal = 0x38800000
const beyondF16 = 0x47800000
const infinity = 0x7f800000

const roundHalfEven = (value: number): number => {
  const floor = Math.floor(value)
  const rest = value - floor
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
}

const f16Bits = (value: number, bits: number): number => {
  const sign = (bits >>> 16) & 0x8000
  const magnitude = bits & 0x7fffffff
  if (magnitude > infinity) return sign | 0x7e00
  if (magnitude >= beyondF16) return sign | 0x7c00
  if (magnitude < leastNormal) return sign | roundHalfEven(Math.abs(value) * 2 ** 24)
  // The exponent's bias goes from 127 to 15; a fraction that rounds over carries into the exponent.
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13)
}

/** One Uint16 a value. */
export const toFloat16 = (values: Float32Array): Uint16Array<ArrayBuffer> => {
  const bits = bitsOf(values)
  return Uint16Array.from(values, (value, i) => f16Bits(value, bits[i]!))
}

/** One Uint16 a value. */
export const toBfloat16 = (values: Float32Array): Uint16Array<ArrayBuffer> =>
  Uint16Array.from(bitsOf(values), (bits) => {
    const isNaN = (bits & 0x7fffffff) > infinity
    // Rounding a NaN up could make it infinite: it keeps its sign and becomes the plain one.
    return isNaN ? ((bits >>> 16) & 0x8000) | 0x7fc0 : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16
  })
