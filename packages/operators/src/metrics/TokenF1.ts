/** Word F1 of one caption: words shared with the reference, repeats counted, against the reference that fits best. */
import { ngrams } from "./Ngrams.ts"
import type { Judged } from "./Words.ts"

export const tokenF1 = ({ caption, references }: Judged): number => {
  const said = ngrams(caption, 1)[0]!
  return Math.max(
    ...references.map((reference) => {
      let shared = 0
      for (const [word, count] of ngrams(reference, 1)[0]!) shared += Math.min(count, said.get(word) ?? 0)
      return shared === 0 ? 0 : (2 * shared) / (caption.length + reference.length)
    })
  )
}
