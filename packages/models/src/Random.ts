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

const timesHigh = (a: number, b: number): number => {
  const [aHigh, aLow, bHigh, bLow] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff]
  const middle = aHigh * bLow + ((aLow * bLow) >>> 16)
  return (aHigh * bHigh + Math.floor(middle / 0x10000) + (((middle & 0xffff) + aLow * bHigh) >>> 16)) >>> 0
}

/** The four 32-bit words of one counter value. */
const philox = ([key0, key1]: RandomKey, counter: number, words: Uint32Array): void => {
  let [a, b, c, d, k0, k1] = [counter >>> 0, Math.floor(counter / 0x100000000) >>> 0, 0, 0, key0, key1]
  for (let round = 0; round < 10; round++) {
    const high0 = timesHigh(0xd2511f53, a)
    const low0 = Math.imul(0xd2511f53, a) >>> 0
    const high1 = timesHigh(0xcd9e8d57, c)
    const low1 = Math.imul(0xcd9e8d57, c) >>> 0
    ;[a, b, c, d] = [(high1 ^ b ^ k0) >>> 0, low1, (high0 ^ d ^ k1) >>> 0, low0]
    k0 = (k0 + 0x9e3779b9) >>> 0
    k1 = (k1 + 0xbb67ae85) >>> 0
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

/** `count` numbers, `of` turning two uniform ones into two more; consecutive blocks of four. */
const fill = (key: RandomKey, count: number, of: (u: number, v: number) => readonly [number, number]): Float32Array => {
  const values = new Float32Array(count)
  const words = new Uint32Array(4)
  for (let start = 0; start < count; start += 4) {
    philox(key, start / 4, words)
    for (let half = 0; half < 4; half += 2) {
      const [first, second] = of(toUnit(words[half]!), toUnit(words[half + 1]!))
      if (start + half < count) values[start + half] = first
      if (start + half + 1 < count) values[start + half + 1] = second
    }
  }
  return values
}

/** Uniform in (0, 1), rounded to float32. */
export const uniforms = (key: RandomKey, count: number): Float32Array => fill(key, count, (u, v) => [u, v])

/** Standard normal (Box and Muller 1958). */
export const normals = (key: RandomKey, count: number): Float32Array =>
  fill(key, count, (u, v) => {
    const radius = Math.sqrt(-2 * Math.log(u))
    return [radius * Math.cos(2 * Math.PI * v), radius * Math.sin(2 * Math.PI * v)]
  })

/** Standard Gumbel: arg max of log(p) + gumbel is a draw from p. */
export const gumbels = (key: RandomKey, count: number): Float32Array => {
  const gumbel = (u: number): number => -Math.log(-Math.log(u))
  return fill(key, count, (u, v) => [gumbel(u), gumbel(v)])
}
