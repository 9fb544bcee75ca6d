/**
 * Corpus BLEU (Papineni et al. 2002) as the COCO caption evaluation computes it.
 *
 * Clipped n-gram matches are summed over the corpus before the geometric mean; the brevity penalty compares the captions'
 * total length with that of the references nearest in length (the shorter one on a tie). Without any n-gram match of some
 * order the score is almost 0, not undefined: COCO adds 1e-15 matches to every order.
 */
import { ngrams } from "./Ngrams.ts"
import type { Judged } from "./Words.ts"

const tiny = 1e-15
const small = 1e-9

/** The length of the reference nearest in length to the caption. */
const closestLength = ({ caption, references }: Judged): number =>
  references
    .map((each) => each.length)
    .reduce((best, length) => {
      const nearer = Math.abs(length - caption.length) - Math.abs(best - caption.length)
      return nearer < 0 || (nearer === 0 && length < best) ? length : best
    })

/** Matches of the caption's n-grams, each counted at most as often as in the reference that has it most, by order. */
const clippedMatches = ({ caption, references }: Judged, order: number): ReadonlyArray<number> => {
  const cooked = references.map((each) => ngrams(each, order))
  return ngrams(caption, order).map((counts, n) => {
    let matches = 0
    for (const [key, count] of counts) {
      const most = Math.max(...cooked.map((reference) => reference[n]!.get(key) ?? 0))
      matches += Math.min(count, most)
    }
    return matches
  })
}

export const bleu = (corpus: ReadonlyArray<Judged>, order = 4): number => {
  const matches = new Float64Array(order)
  const guesses = new Float64Array(order)
  let captionLength = 0
  let referenceLength = 0
  for (const judged of corpus) {
    const found = clippedMatches(judged, order)
    for (let n = 0; n < order; n++) {
      matches[n]! += found[n]!
      guesses[n]! += Math.max(0, judged.caption.length - n)
    }
    captionLength += judged.caption.length
    referenceLength += closestLength(judged)
  }
  let product = 1
  for (let n = 0; n < order; n++) product *= (matches[n]! + tiny) / (guesses[n]! + small)
  const ratio = (captionLength + tiny) / (referenceLength + small)
  return product ** (1 / order) * (ratio < 1 ? Math.exp(1 - 1 / ratio) : 1)
}
