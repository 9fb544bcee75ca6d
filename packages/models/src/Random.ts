/**
 * Random numbers as a pure function of (seed, names, counter): Philox4x32-10 (Salmon et al. 2011).
 *
 * There is no state, so a draw depends on what it is for and on nothing drawn before it: not on the order of weights, nor
 * on a batch's other rows, nor on the process.
 */

/** 64 bits that name one stream of random numbers. */
export type RandomKey = readonly [number, number]

const mix = (h: number): number => {
  const a = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  const b = Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  return (b ^ (b >>> 16)) >>> 0
}

/** The stream of a seed and what it is used for, e.g. randomKey(17, "init", "temp"). */
export const randomKey = (seed: number, ...names: ReadonlyArray<string | number>): RandomKey => {
  let low = 0x811c9dc5
  let high = 0x9747b28c
  for (const byte of new TextEncoder().encode(JSON.stringify([seed, ...names]))) {
    low = Math.imul(low ^ byte, 0x01000193)
    high = Math.imul(high ^ byte, 0x5bd1e995)
    high ^= high >>> 15
  }
  return [mix(low), mix(high ^ low)]
}

/** The upper 32 bits of a product. In 16-bit halves, none of the sums leaves 32 bits: drawing weights is all of a load's time. */
const timesHigh = (a: number, b: number): number => {
  const aHigh = a >>> 16
  const aLow = a & 0xffff
  const bHigh = b >>> 16
  const bLow = b & 0xffff
  const middle = (Math.imul(aHigh, bLow) + (Math.imul(aLow, bLow) >>> 16)) | 0
  const lower = (Math.imul(aLow, bHigh) + (middle & 0xffff)) | 0
  return (Math.imul(aHigh, bHigh) + (middle >>> 16) + (lower >>> 16)) | 0
}

/** The four 32-bit words of one counter value. */
const philox = (key: RandomKey, counter: number, words: Uint32Array): void => {
  let a = counter | 0
  let b = Math.floor(counter / 0x100000000) | 0
  let c = 0
  let d = 0
  let k0 = key[0] | 0
  let k1 = key[1] | 0
  for (let round = 0; round < 10; round++) {
    const high0 = timesHigh(0xd2511f53, a)
    const low0 = Math.imul(0xd2511f53, a)
    const high1 = timesHigh(0xcd9e8d57, c)
    const low1 = Math.imul(0xcd9e8d57, c)
    a = high1 ^ b ^ k0
    b = low1
    c = high0 ^ d ^ k1
    d = low0
    k0 = (k0 + 0x9e3779b9) | 0
    k1 = (k1 + 0xbb67ae85) | 0
  }
  words[0] = a
  words[1] = b
  words[2] = c
  words[3] = d
}

/** Strictly between 0 and 1, so that logarithms are finite. */
const toUnit = (word: number): number => (word + 0.5) / 0x100000000

/** The draw number `counter` of a stream, uniform in (0, 1). */
export const uniformAt = (key: RandomKey, counter: number): number => {
  const words = new Uint32Array(4)
  philox(key, counter, words)
  return toUnit(words[0]!)
}

/** Turns the two uniform numbers of a pair into two others, in place. */
type Turn = (pair: Float64Array) => void

/** `count` numbers; consecutive blocks of four. */
const fill = (key: RandomKey, count: number, turn: Turn): Float32Array => {
  const values = new Float32Array(count)
  const words = new Uint32Array(4)
  const pair = new Float64Array(2)
  for (let start = 0; start < count; start += 4) {
    philox(key, start / 4, words)
    for (let half = 0; half < 4; half += 2) {
      pair[0] = toUnit(words[half]!)
      pair[1] = toUnit(words[half + 1]!)
      turn(pair)
      const at = start + half
      if (at < count) values[at] = pair[0]
      if (at + 1 < count) values[at + 1] = pair[1]
    }
  }
  return values
}

/** Uniform in (0, 1), rounded to float32. */
export const uniforms = (key: RandomKey, count: number): Float32Array => fill(key, count, () => undefined)

/** Standard normal (Box and Muller 1958). */
export const normals = (key: RandomKey, count: number): Float32Array =>
  fill(key, count, (pair) => {
    const radius = Math.sqrt(-2 * Math.log(pair[0]!))
    const angle = 2 * Math.PI * pair[1]!
    pair[0] = radius * Math.cos(angle)
    pair[1] = radius * Math.sin(angle)
  })

/** Standard Gumbel: arg max of log(p) + gumbel is a draw from p. */
export const gumbels = (key: RandomKey, count: number): Float32Array => {
  const gumbel = (u: number): number => -Math.log(-Math.log(u))
  return fill(key, count, (pair) => {
    pair[0] = gumbel(pair[0]!)
    pair[1] = gumbel(pair[1]!)
  })
}
