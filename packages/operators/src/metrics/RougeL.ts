/**
 * ROUGE-L of one caption (Lin 2004): F-measure over the longest common subsequence, recall weighted by beta = 1.2, precision
 * and recall each taken from its best reference, as the COCO caption evaluation does.
 */
import type { Judged } from "./Words.ts"

const beta = 1.2

export const longestCommonSubsequence = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): number => {
  const lengths = new Int32Array(b.length + 1)
  for (const word of a) {
    let diagonal = 0
    for (let j = 1; j <= b.length; j++) {
      const above = lengths[j]!
      lengths[j] = word === b[j - 1] ? diagonal + 1 : Math.max(above, lengths[j - 1]!)
      diagonal = above
    }
  }
  return lengths[b.length]!
}

export const rougeL = ({ caption, references }: Judged): number => {
  let precision = 0
  let recall = 0
  for (const reference of references) {
    const common = longestCommonSubsequence(reference, caption)
    if (common === 0) continue
    precision = Math.max(precision, common / caption.length)
    recall = Math.max(recall, common / reference.length)
  }
  return precision === 0 ? 0 : ((1 + beta ** 2) * precision * recall) / (recall + beta ** 2 * precision)
}
