/**
 * Recall at K of a ranking in which several answers may be right and scores may tie.
 *
 * A query counts when a right answer stands among its first K. Equal scores have no order: the recall is its expected value
 * over all orders of the tied answers, so that a model that gives everything the same score gets chance and no more.
 */
export interface Rank {
  /** Wrong answers scored above the best right one. */
  readonly above: number
  /** Wrong answers tied with it. */
  readonly tied: number
  /** Right answers at that score, itself included. */
  readonly right: number
}

/** `isRight` must hold for at least one answer. */
export const rankOf = (scores: ArrayLike<number>, isRight: (answer: number) => boolean): Rank => {
  let best = Number.NEGATIVE_INFINITY
  for (let j = 0; j < scores.length; j++) if (scores[j]! > best && isRight(j)) best = scores[j]!
  let above = 0
  let tied = 0
  let right = 0
  for (let j = 0; j < scores.length; j++) {
    if (scores[j]! < best) continue
    if (isRight(j)) right += 1
    else if (scores[j] === best) tied += 1
    else above += 1
  }
  return { above, tied, right }
}

/** The probability that a right answer is among the first k: 1 - C(tied, places) / C(tied + right, places). */
export const recallAt = ({ above, tied, right }: Rank, k: number): number => {
  const places = k - above
  if (places <= 0) return 0
  let missed = 1
  for (let place = 0; place < places && missed > 0; place++)
    missed *= Math.max(0, tied - place) / (tied + right - place)
  return 1 - missed
}
