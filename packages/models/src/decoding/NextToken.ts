/**
 * Which token follows, given its logits: greedy or nucleus (Holtzman et al. 2020, section 3.1).
 *
 * The order is transformers': repetition penalty and minimum length change the logits, then temperature, top_k and top_p say
 * what may be drawn. Sums are in double precision and ties go to the smaller id, so a choice depends on the logits alone.
 */

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

/** Divides the positive logits, and multiplies the negative ones, of tokens that stand in the row (Keskar et al. 2019). */
const penalizeRepetition = (logits: Float32Array, ids: Iterable<number>, penalty: number): void => {
  for (const id of new Set(ids)) {
    const logit = logits[id]
    if (logit !== undefined) logits[id] = logit < 0 ? logit * penalty : logit / penalty
  }
}

interface Changes {
  readonly repetition_penalty?: number
  readonly min_length?: number
  readonly end: number
}

/** A copy of a row's logits (or log-probabilities) with repetition made less likely and an early end impossible. */
export const changeLogits = (logits: Float32Array, ids: ReadonlyArray<number>, changes: Changes): Float32Array => {
  const { repetition_penalty = 1, min_length = 0, end } = changes
  const changed = Float32Array.from(logits)
  if (repetition_penalty !== 1) penalizeRepetition(changed, ids, repetition_penalty)
  if (ids.length < min_length) changed[end] = -Infinity
  return changed
}

const argMax = (values: Float32Array): number => {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

const softmax = (logits: Float32Array, temperature: number): Float64Array => {
  const largest = logits[argMax(logits)]!
  const probabilities = new Float64Array(logits.length)
  let total = 0
  for (let id = 0; id < logits.length; id++) {
    const exponential = Math.exp((logits[id]! - largest) / temperature)
    probabilities[id] = exponential
    total += exponential
  }
  for (let id = 0; id < logits.length; id++) probabilities[id]! /= total
  return probabilities
}

/** How far down the nucleus reaches: all tokens above `least`, and the first `ties` of those that equal it. */
const nucleusBound = (probabilities: Float64Array, top_p: number, top_k: number) => {
  // All tokens at or below this together are at most 1 - top_p, so the nucleus lies above and the rest needs no sorting.
  const floor = (1 - top_p) / probabilities.length
  const descending = probabilities
    .filter((probability) => probability > floor)
    .sort()
    .reverse()
    .subarray(0, top_k)
  const whole = top_k < probabilities.length ? descending.reduce((sum, probability) => sum + probability, 0) : 1
  let count = 0
  for (let reached = 0; count < descending.length && (count === 0 || reached < top_p * whole); count++)
    reached += descending[count]!
  const least = descending[count - 1]!
  return { least, ties: count - descending.indexOf(least) }
}

/** The tokens that may be drawn, by id, with their probabilities before cutting. */
export const nucleus = (logits: Float32Array, { top_p, temperature = 1, top_k = logits.length }: Nucleus) => {
  const probabilities = softmax(logits, temperature)
  const bound = nucleusBound(probabilities, top_p, top_k)
  const kept: Array<{ readonly id: number; readonly probability: number }> = []
  let ties = bound.ties
  for (let id = 0; id < probabilities.length; id++) {
    const probability = probabilities[id]!
    if (probability > bound.least || (probability === bound.least && ties-- > 0)) kept.push({ id, probability })
  }
  return kept
}

/** `u`, uniform in (0, 1), makes the draw; greedy doesn't look at it. */
export const nextToken = (logits: Float32Array, method: Greedy | Nucleus, u: number): number => {
  if (method.method === "greedy") return argMax(logits)
  const kept = nucleus(logits, method)
  let left = u * kept.reduce((sum, { probability }) => sum + probability, 0)
  for (const { id, probability } of kept) {
    left -= probability
    if (left <= 0) return id
  }
  return kept.at(-1)!.id
}

/** Log of the sum of exponentials. */
const logTotal = (logits: Float32Array): number => {
  const largest = logits[argMax(logits)]!
  let total = 0
  for (let i = 0; i < logits.length; i++) total += Math.exp(logits[i]! - largest)
  return largest + Math.log(total)
}

/** Natural log of the probability that logits give a token. */
export const logProbability = (logits: Float32Array, id: number): number => logits[id]! - logTotal(logits)

export const logProbabilities = (logits: Float32Array): Float32Array => {
  const total = logTotal(logits)
  return logits.map((logit) => logit - total)
}
