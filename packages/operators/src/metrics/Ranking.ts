/**
 * How well scores separate the positives from the negatives.
 *
 *   roc_auc            share of (positive, negative) pairs in the right order, a tie counting one half
 *   average_precision  sum of precision x increase of recall over the distinct scores, from the highest
 *   precision, recall  of `score >= threshold`
 */
export interface Scored {
  readonly scores: ArrayLike<number>
  readonly flags: ArrayLike<number | boolean>
}

/** Positives and negatives at every distinct score, from the highest. */
const groups = ({ scores, flags }: Scored): Array<{ positives: number; negatives: number }> => {
  const order = Float64Array.from({ length: scores.length }, (_, i) => i).sort((a, b) => scores[b]! - scores[a]!)
  const out: Array<{ positives: number; negatives: number }> = []
  let previous: number | undefined
  for (const i of order) {
    if (scores[i] !== previous) out.push({ positives: 0, negatives: 0 })
    previous = scores[i]!
    const group = out.at(-1)!
    if (flags[i]) group.positives += 1
    else group.negatives += 1
  }
  return out
}

/** NaN unless both classes are there. */
export const rocAuc = (scored: Scored): number => {
  let positives = 0
  let negatives = 0
  let ordered = 0
  for (const group of groups(scored)) {
    ordered += group.negatives * (positives + group.positives / 2)
    positives += group.positives
    negatives += group.negatives
  }
  return ordered / (positives * negatives)
}

/** NaN without positives. */
export const averagePrecision = (scored: Scored): number => {
  let positives = 0
  let taken = 0
  let sum = 0
  for (const group of groups(scored)) {
    positives += group.positives
    taken += group.positives + group.negatives
    sum += group.positives * (positives / taken)
  }
  return sum / positives
}

/** Precision is 0 when nothing reaches the threshold. */
export const atThreshold = ({ scores, flags }: Scored, threshold: number) => {
  let hits = 0
  let taken = 0
  let positives = 0
  for (let i = 0; i < scores.length; i++) {
    const positive = Boolean(flags[i])
    if (positive) positives += 1
    if (scores[i]! < threshold) continue
    taken += 1
    if (positive) hits += 1
  }
  const f1 = taken + positives === 0 ? 0 : (2 * hits) / (taken + positives)
  return { precision: taken === 0 ? 0 : hits / taken, recall: positives === 0 ? 0 : hits / positives, f1 }
}
