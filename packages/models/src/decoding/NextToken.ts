/**
 * Which token follows, given its logits: greedy or nucleus (Holtzman et al. 2020, section 3.1).
 *
 * The order is transformers': repetition penalty and minimum length change the logits, then temperature, top_k and top_p say
 * what may be drawn. Ties go to the smaller id, so a choice depends on the logits alone.
 */
import { descending } from "./Descending.ts"

/** The most likely token. */
export interface Greedy {
  readonly method: "greedy"
}

/** A draw from the smallest set of likeliest tokens whose probabilities reach `top_p`. */
export interface Nucleus {
  readonly method: "nucleus"
  /** In (0, 1]; 0.9 in BLIP's CapFilt. */
  readonly top_p: number
  /** Divides the logits; default 1. */
  readonly temperature?: number
  /** At most so many tokens; default all. transformers' own default is 50. */
  readonly top_k?: number
}

interface Changes {
  readonly repetition_penalty?: number
  readonly min_length?: number
  readonly end: number
}

/**
 * Makes repetition less likely and an early end impossible, in a row's logits (or log-probabilities). Gives what stood where they were
 * changed, by id. The penalty divides the positive logits, and multiplies the negative ones, of tokens in the row (Keskar et al. 2019).
 */
export const changeLogits = (
  logits: Float32Array,
  ids: ReadonlyArray<number>,
  { repetition_penalty: penalty = 1, min_length = 0, end }: Changes
): ReadonlyMap<number, number> => {
  const before = new Map<number, number>()
  const change = (id: number, to: (logit: number) => number): void => {
    const logit = logits[id]
    if (logit === undefined) return
    if (!before.has(id)) before.set(id, logit)
    logits[id] = to(logit)
  }
  if (penalty !== 1)
    for (const id of new Set(ids)) change(id, (logit) => (logit < 0 ? logit * penalty : logit / penalty))
  if (ids.length < min_length) change(end, () => -Infinity)
  return before
}

/** A token that may follow. */
export interface Following {
  readonly id: number
  /** What tokens are compared by. */
  readonly score: number
  /** By the model's untouched logits. */
  readonly log_probability: number
}

/** The `count` tokens of a row with the highest scores, highest first, ties to the smaller id, out of all log-probabilities, which are changed. */
export const highest = (
  log_probabilities: Float32Array,
  row: ReadonlyArray<number>,
  changes: Changes,
  count: number
): ReadonlyArray<Following> => {
  const before = changeLogits(log_probabilities, row, changes)
  const best: Array<{ id: number; score: number }> = []
  for (let id = 0; id < log_probabilities.length; id++) {
    const score = log_probabilities[id]!
    if (best.length === count && score <= best[count - 1]!.score) continue
    insert(best, { id, score }, count)
  }
  return best.map(({ id, score }) => ({ id, score, log_probability: before.get(id) ?? score }))
}

/** Puts `one` behind all that are as good, and keeps the first `count`. */
export const insert = <A extends { readonly score: number }>(best: Array<A>, one: A, count: number): void => {
  let at = best.length
  while (at > 0 && best[at - 1]!.score < one.score) at--
  best.splice(at, 0, one)
  if (best.length > count) best.pop()
}

/** The same out of a row's likeliest tokens, where nothing but an early end is changed. */
export const allowed = (
  { ids, log_probabilities }: { readonly ids: Int32Array; readonly log_probabilities: Float32Array },
  row: ReadonlyArray<number>,
  { min_length = 0, end }: Changes
): ReadonlyArray<Following> =>
  Array.from(ids, (id, i) => ({ id, score: log_probabilities[i]!, log_probability: log_probabilities[i]! })).filter(
    ({ id }) => row.length >= min_length || id !== end
  )

const argMax = (values: Float32Array): number => {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

/** Log of the sum of the exponentials of logits / temperature. */
export const logTotal = (logits: Float32Array, temperature = 1): number => {
  const largest = logits[argMax(logits)]!
  let total = 0
  for (let i = 0; i < logits.length; i++) total += Math.exp((logits[i]! - largest) / temperature)
  return largest / temperature + Math.log(total)
}

/** `logTotal` of changed logits, by what it was before: summed anew only where much of it went. */
export const changedTotal = (logits: Float32Array, before: ReadonlyMap<number, number>, log_total: number): number => {
  let change = 0
  for (const [id, logit] of before) change += Math.exp(logits[id]! - log_total) - Math.exp(logit - log_total)
  return change < -0.5 ? logTotal(logits) : log_total + Math.log1p(change)
}

/** Tokens by id, and their probabilities among all. */
export interface Candidates {
  readonly ids: Int32Array
  readonly probabilities: Float64Array
}

/**
 * How far down the nucleus of these logits reaches: all probabilities above `least`, and the first `ties` of those that equal it. `shareOf` is a
 * logit's probability.
 */
const nucleusBound = (logits: Float32Array, shareOf: (logit: number) => number, top_p: number, top_k: number) => {
  const sorted = descending(logits).subarray(0, top_k)
  let whole = top_k === Infinity ? 1 : 0
  if (top_k !== Infinity) for (let i = 0; i < sorted.length; i++) whole += shareOf(sorted[i]!)
  let [least, ties] = [NaN, 0]
  for (let i = 0, reached = 0; i < sorted.length && (i === 0 || reached < top_p * whole); i++) {
    const share = shareOf(sorted[i]!)
    ties = share === least ? ties + 1 : 1
    least = share
    reached += share
  }
  return { least, ties }
}

/** The tokens whose logits are above `floor`. Callbacks on typed arrays would cost more than all that is computed here. */
function above(logits: Float32Array, floor: number): Int32Array {
  const ids = new Int32Array(logits.length)
  let count = 0
  for (let id = 0; id < logits.length; id++) if (logits[id]! > floor) ids[count++] = id
  return ids.subarray(0, count)
}

/** The tokens that may be drawn, with their probabilities before cutting. `log_total` is that of logits / temperature. */
export const nucleus = (
  logits: Float32Array,
  { top_p, temperature = 1, top_k = logits.length }: Nucleus,
  log_total = logTotal(logits, temperature)
): Candidates => {
  const most = top_k < logits.length ? top_k : Infinity
  const shareOf = (logit: number): number => Math.exp(logit / temperature - log_total)
  // All tokens at or below this together are at most 1 - top_p, so the nucleus lies above and the rest needs no sorting. A total in float32 is
  // not exact, hence a little lower.
  const share = Math.log((1 - top_p) / logits.length) - 1e-3
  const ids = above(logits, most === Infinity ? temperature * (share + log_total) : -Infinity)
  const candidates = new Float32Array(ids.length)
  for (let i = 0; i < ids.length; i++) candidates[i] = logits[ids[i]!]!
  const { least, ties } = nucleusBound(candidates, shareOf, top_p, most)
  const probabilities = new Float64Array(ids.length)
  let [kept, tied] = [0, 0]
  for (let i = 0; i < ids.length; i++) {
    const probability = shareOf(candidates[i]!)
    if (probability < least || (probability === least && ++tied > ties)) continue
    ids[kept] = ids[i]!
    probabilities[kept++] = probability
  }
  return { ids: ids.subarray(0, kept), probabilities: probabilities.subarray(0, kept) }
}

/** `u`, uniform in (0, 1), makes the draw; greedy looks neither at it nor at `log_total`, which is that of the logits. */
export const nextToken = (logits: Float32Array, method: Greedy | Nucleus, u: number, log_total?: number): number => {
  if (method.method === "greedy") return argMax(logits)
  const { ids, probabilities } = nucleus(logits, method, (method.temperature ?? 1) === 1 ? log_total : undefined)
  let total = 0
  for (let i = 0; i < probabilities.length; i++) total += probabilities[i]!
  let drawn = 0
  for (let left = u * total; drawn < ids.length - 1; drawn++) if ((left -= probabilities[drawn]!) <= 0) break
  return ids[drawn]!
}
