/**
 * CIDEr-D (Vedantam et al. 2015, section 4), as the COCO caption evaluation computes it: mean cosine of TF-IDF vectors of
 * n-grams of 1 to 4 words, the caption's weights clipped at the reference's, times a Gaussian penalty on the difference in
 * length (sigma 6), times 10. The document frequency of an n-gram is the number of images with it in some reference.
 */
import { ngrams } from "./Ngrams.ts"
import type { Judged } from "./Words.ts"

const order = 4
const sigma = 6

/** For each n: TF-IDF by n-gram, and the vector's length; and the sentence's length in bigrams, which is what COCO's code compares. */
interface Weighted {
  readonly weights: ReadonlyArray<ReadonlyMap<string, number>>
  readonly norms: ReadonlyArray<number>
  readonly length: number
}

/** In how many images each n-gram occurs. `images` holds the references of each image once. */
export const documentFrequency = (images: Iterable<Judged["references"]>): ReadonlyMap<string, number> => {
  const frequency = new Map<string, number>()
  for (const references of images) {
    const seen = new Set(references.flatMap((each) => ngrams(each, order).flatMap((counts) => [...counts.keys()])))
    for (const key of seen) frequency.set(key, (frequency.get(key) ?? 0) + 1)
  }
  return frequency
}

const weigh = (sentence: ReadonlyArray<string>, frequency: ReadonlyMap<string, number>, images: number): Weighted => {
  const weights = ngrams(sentence, order).map(
    (counts) =>
      new Map([...counts].map(([key, count]) => [key, count * (Math.log(images) - Math.log(frequency.get(key) ?? 1))]))
  )
  const norms = weights.map((each) => Math.sqrt([...each.values()].reduce((sum, weight) => sum + weight ** 2, 0)))
  return { weights, norms, length: Math.max(0, sentence.length - 1) }
}

const similarity = (caption: Weighted, reference: Weighted): number => {
  const penalty = Math.exp(-((caption.length - reference.length) ** 2) / (2 * sigma ** 2))
  let sum = 0
  for (let n = 0; n < order; n++) {
    const norm = caption.norms[n]! * reference.norms[n]!
    if (norm === 0) continue
    let dot = 0
    for (const [key, weight] of caption.weights[n]!) {
      const other = reference.weights[n]!.get(key) ?? 0
      dot += Math.min(weight, other) * other
    }
    sum += dot / norm
  }
  return (sum / order) * penalty
}

/** CIDEr-D of each caption; the corpus' score is their mean. */
export const ciderD = (
  corpus: ReadonlyArray<Judged>,
  frequency: ReadonlyMap<string, number>,
  images: number
): ReadonlyArray<number> =>
  corpus.map(({ caption, references }) => {
    const said = weigh(caption, frequency, images)
    const total = references.reduce((sum, each) => sum + similarity(said, weigh(each, frequency, images)), 0)
    return (10 * total) / references.length
  })
