/**
 * Which token follows, given its logits: greedy or nucleus (Holtzman et al. 2020, section 3.1).
 *
 * The order is transformers': repetition penalty and minimum length change the logits, then temperature and top_p say
 * what may be drawn. Ties go to the smaller id, so a choice depends on the logits alone.
 */
import { drawToken } from "./Draw.ts"

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

/** Probabilities up to a factor, that of the likeliest being 1, written to `weights`: a new array for every token keeps the collector busy. */
export const drawWeights = (
  logits: Float32Array,
  temperature = 1,
  weights: Float64Array = new Float64Array(logits.length)
): Float64Array => {
  const largest = logits[argMax(logits)]!
  for (let i = 0; i < logits.length; i++) weights[i] = Math.exp((logits[i]! - largest) / temperature)
  return weights
}

/** `uniformOf` gives a draw's attempts their uniform numbers in (0, 1), and `weights` [V] is written over; greedy looks at neither. */
export const nextToken = (
  logits: Float32Array,
  method: Greedy | Nucleus,
  uniformOf: (attempt: number) => number,
  weights?: Float64Array
): number =>
  method.method === "greedy"
    ? argMax(logits)
    : drawToken(drawWeights(logits, method.temperature, weights), method.top_p, uniformOf)
