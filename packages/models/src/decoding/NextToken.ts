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

export type Method = Greedy | Nucleus

/** Divides the positive logits, and multiplies the negative ones, of tokens that stand in the row (Keskar et al. 2019). */
export const penalizeRepetition = (logits: Float32Array, ids: Iterable<number>, penalty: number): void => {
  for (const id of new Set(ids)) {
    const logit = logits[id]
    if (logit !== undefined) logits[id] = logit < 0 ? logit * penalty : logit / penalty
  }
}

export const argMax = (values: Float32Array): number => {
  let best = 0
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i
  return best
}

const softmax = (logits: Float32Array, temperature: number): Float64Array => {
  const largest = logits[argMax(logits)]!
  const exponentials = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature))
  const total = exponentials.reduce((sum, value) => sum + value, 0)
  return exponentials.map((value) => value / total)
}

/** The tokens that may be drawn, likeliest first, with their probabilities before cutting. */
export const nucleus = (logits: Float32Array, { top_p, temperature = 1, top_k = logits.length }: Nucleus) => {
  const probabilities = softmax(logits, temperature)
  const order = Array.from(probabilities, (_, id) => id).sort((a, b) => probabilities[b]! - probabilities[a]! || a - b)
  const candidates = order.slice(0, top_k)
  // top_p is a share of what top_k left.
  const goal = top_p * candidates.reduce((sum, id) => sum + probabilities[id]!, 0)
  const kept: Array<{ readonly id: number; readonly probability: number }> = []
  let reached = 0
  for (const id of candidates) {
    if (kept.length > 0 && reached >= goal) break
    kept.push({ id, probability: probabilities[id]! })
    reached += probabilities[id]!
  }
  return kept
}

/** `u`, uniform in (0, 1), makes the draw; greedy doesn't look at it. */
export const nextToken = (logits: Float32Array, method: Method, u: number): number => {
  if (method.method === "greedy") return argMax(logits)
  const kept = nucleus(logits, method)
  let left = u * kept.reduce((sum, { probability }) => sum + probability, 0)
  for (const { id, probability } of kept) {
    left -= probability
    if (left <= 0) return id
  }
  return kept.at(-1)!.id
}

/** Natural log of the probability that the untouched logits give a token. */
export const logProbability = (logits: Float32Array, id: number): number => {
  const largest = logits[argMax(logits)]!
  const total = logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0)
  return logits[id]! - largest - Math.log(total)
}
