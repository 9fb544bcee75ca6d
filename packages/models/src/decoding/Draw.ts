/**
 * A draw from the nucleus (Holtzman et al. 2020, section 3.1), which is never made: the smallest set of likeliest tokens that reaches `top_p`.
 *
 *   weights [V], probabilities up to a factor   ->   a token
 *
 * A token is in the nucleus when the tokens before it, likelier ones and of equals the smaller ids, have less than `top_p` of the whole. So one is
 * drawn among all; if it is outside, everything from it on is too, and the next is drawn among the tokens before it. Wherever a draw is taken
 * from, those that fall inside fall as the nucleus' own weights say. The first falls inside with probability `top_p` or more, so on average
 * this is little more than two sums over the weights, where a nucleus must be sorted for.
 */

/** Summed weights of the tokens before `id`, whose weight is `weight`. Never more than that of all: `massBefore(weights, 0, 0)`. */
export function massBefore(weights: Float64Array, weight: number, id: number): number {
  let mass = 0
  for (let i = 0; i < id; i++) if (weights[i]! >= weight) mass += weights[i]!
  for (let i = id; i < weights.length; i++) if (weights[i]! > weight) mass += weights[i]!
  return mass
}

/** The first of the tokens before `id` at which their summed weights reach `goal`. */
function tokenAt(weights: Float64Array, weight: number, id: number, goal: number): number {
  let [token, left] = [0, goal]
  for (let i = 0; i < weights.length && left > 0; i++) {
    if (!(weights[i]! > weight || (weights[i] === weight && i < id))) continue
    token = i
    left -= weights[i]!
  }
  return token
}

/** `uniformOf` gives each attempt a uniform number in (0, 1) of its own. */
export function drawToken(weights: Float64Array, top_p: number, uniformOf: (attempt: number) => number): number {
  const whole = massBefore(weights, 0, 0)
  let [weight, id, mass] = [0, 0, whole]
  for (let attempt = 0; ; attempt++) {
    const token = tokenAt(weights, weight, id, uniformOf(attempt) * mass)
    ;[weight, id] = [weights[token]!, token]
    mass = massBefore(weights, weight, id)
    if (mass < top_p * whole) return token
  }
}
