/** Cosine similarities of one query with every answer. Rows are float32, sums double, always in the same order. */

/** Rows of `width` values scaled to unit length; a row of zeros stays. */
export const unitRows = (values: Float32Array, width: number): Float32Array => {
  const out = new Float32Array(values.length)
  for (let start = 0; start < values.length; start += width) {
    let square = 0
    for (let i = start; i < start + width; i++) square += values[i]! * values[i]!
    const scale = square === 0 ? 0 : 1 / Math.sqrt(square)
    for (let i = start; i < start + width; i++) out[i] = values[i]! * scale
  }
  return out
}

/** Dot products of row `query` with the `rows` rows of `answers`. */
export const scoresAgainst = (
  queries: Float32Array,
  answers: Float32Array,
  rows: number,
  query: number
): Float64Array => {
  const width = answers.length / rows
  const asked = queries.subarray(query * width, (query + 1) * width)
  const scores = new Float64Array(rows)
  for (let row = 0, at = 0; row < rows; row++) {
    let dot = 0
    for (let i = 0; i < width; i++, at++) dot += asked[i]! * answers[at]!
    scores[row] = dot
  }
  return scores
}

/** The `count` answers with the highest scores, the first of equal ones first. */
export const nearest = (scores: ArrayLike<number>, count: number): ReadonlyArray<number> => {
  const best: Array<number> = []
  for (let row = 0; row < scores.length; row++) {
    if (best.length === count && scores[row]! <= scores[best.at(-1)!]!) continue
    const place = best.findIndex((other) => scores[other]! < scores[row]!)
    best.splice(place < 0 ? best.length : place, 0, row)
    if (best.length > count) best.pop()
  }
  return best
}
