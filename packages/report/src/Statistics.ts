/**
 * What a comparison over seeds says: means, spreads, and paired differences with 95% intervals by Student's t.
 *
 * The t distribution comes from the regularised incomplete beta function by its continued fraction (Lentz's method;
 * Abramowitz and Stegun 26.5.8, 26.7.1), its quantile by bisection.
 */
export const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, x) => sum + x, 0) / values.length

/** Of a sample: divided by n - 1. NaN for fewer than two values. */
export const deviation = (values: ReadonlyArray<number>): number => {
  const centre = mean(values)
  return Math.sqrt(values.reduce((sum, x) => sum + (x - centre) ** 2, 0) / (values.length - 1))
}

// Lanczos, g = 7, n = 9.
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7
]
const logGamma = (z: number): number => {
  const x = z - 1
  const sum = lanczos.reduce((total, c, i) => (i === 0 ? c : total + c / (x + i)), 0)
  const t = x + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (x + 0.5) * Math.log(t) - t + Math.log(sum)
}

const betaFraction = (x: number, a: number, b: number): number => {
  const away = (value: number) => (Math.abs(value) < 1e-300 ? 1e-300 : value)
  let c = 1
  let d = 1 / away(1 - ((a + b) * x) / (a + 1))
  let result = d
  for (let m = 1; m <= 500; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
    d = 1 / away(1 + even * d)
    c = away(1 + even / c)
    result *= d * c
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1))
    d = 1 / away(1 + odd * d)
    c = away(1 + odd / c)
    result *= d * c
    if (Math.abs(d * c - 1) < 1e-14) break
  }
  return result
}

/** I_x(a, b). */
const incompleteBeta = (x: number, a: number, b: number): number => {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x))
  return x < (a + 1) / (a + b + 2) ? (front * betaFraction(x, a, b)) / a : 1 - (front * betaFraction(1 - x, b, a)) / b
}

/** P(T <= t) with `df` degrees of freedom. */
export const studentCdf = (t: number, df: number): number => {
  const tail = 0.5 * incompleteBeta(df / (df + t * t), df / 2, 0.5)
  return t > 0 ? 1 - tail : tail
}

/** The t with P(T <= t) = p, for p in (0.5, 1). */
export const studentQuantile = (p: number, df: number): number => {
  let low = 0
  let high = 1
  while (studentCdf(high, df) < p) high *= 2
  for (let i = 0; i < 200 && high - low > 1e-12 * high; i++) {
    const middle = (low + high) / 2
    if (studentCdf(middle, df) < p) low = middle
    else high = middle
  }
  return (low + high) / 2
}

export interface Interval {
  readonly mean: number
  readonly low: number
  readonly high: number
  /** How many pairs (or values) it stands on. */
  readonly n: number
  /** False where the interval contains 0, or where there are too few values to say. */
  readonly resolved: boolean
}

/** 95% interval of a mean. With fewer than two values its ends are infinite. */
export const interval95 = (values: ReadonlyArray<number>): Interval => {
  const n = values.length
  const centre = mean(values)
  if (n < 2) return { mean: centre, low: -Infinity, high: Infinity, n, resolved: false }
  const half = (studentQuantile(0.975, n - 1) * deviation(values)) / Math.sqrt(n)
  const low = centre - half
  const high = centre + half
  return { mean: centre, low, high, n, resolved: low > 0 || high < 0 }
}

/** Interval of `b - a` over the keys (seeds) that both have. */
export const pairedDifference = (a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Interval =>
  interval95([...a].flatMap(([key, value]) => (b.has(key) ? [b.get(key)! - value] : [])))

/** Area under the ROC curve by ranks, ties counted half. NaN where one class is empty. */
export const rocAuc = (scores: ReadonlyArray<number>, flags: ReadonlyArray<boolean>): number => {
  const order = scores.map((_, i) => i).sort((i, j) => scores[i]! - scores[j]!)
  let rankSum = 0
  for (let start = 0; start < order.length;) {
    let end = start
    while (end < order.length && scores[order[end]!] === scores[order[start]!]) end++
    const rank = (start + 1 + end) / 2
    for (let i = start; i < end; i++) if (flags[order[i]!]) rankSum += rank
    start = end
  }
  const positives = flags.filter(Boolean).length
  const negatives = flags.length - positives
  return (rankSum - (positives * (positives + 1)) / 2) / (positives * negatives)
}

/** Mean over a window of `radius` points to each side, narrower at the ends so that it stays centred. */
export const smooth = (values: ReadonlyArray<number>, radius: number): ReadonlyArray<number> => {
  const sums = [0]
  for (const value of values) sums.push(sums.at(-1)! + value)
  return values.map((_, i) => {
    const reach = Math.min(radius, i, values.length - 1 - i)
    return (sums[i + reach + 1]! - sums[i - reach]!) / (2 * reach + 1)
  })
}
