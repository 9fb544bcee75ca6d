/**
 * A unigram language model's cut of a text: the pieces whose log-probabilities have the largest sum (Kudo 2018).
 *
 *   "▁a▁photo"  ->  ▁a ▁photo
 *
 * A character that no piece covers is unknown and costs 10 more than the rarest piece; unknown neighbours are one token.
 */

/** Pieces that texts are cut into, and the id of the unknown. */
export interface UnigramPieces {
  /** Piece to id and log-probability. */
  readonly pieces: ReadonlyMap<string, { readonly id: number; readonly score: number }>
  readonly unk: number
  /** SentencePiece adds scores in float32, Hugging Face's tokenizers in float64. */
  readonly precision: "float32" | "float64"
}

const UNKNOWN_PENALTY = 10

interface Best {
  readonly score: number
  readonly start: number
  readonly id: number
}

/** Gives the function from a text to its pieces' ids. */
export const unigramCut = ({ pieces, unk, precision }: UnigramPieces): ((text: string) => ReadonlyArray<number>) => {
  let longest = 0
  let lowest = Infinity
  for (const [piece, { score }] of pieces) {
    longest = Math.max(longest, piece.length)
    lowest = Math.min(lowest, score)
  }
  const rounded = precision === "float32" ? Math.fround : (x: number): number => x
  const unknown = (pieces.size === 0 ? 0 : lowest) - UNKNOWN_PENALTY
  return (text) => {
    const best: Array<Best | undefined> = [{ score: 0, start: 0, id: unk }]
    const offer = (start: number, end: number, id: number, score: number): void => {
      const sum = rounded(best[start]!.score + rounded(score))
      const known = best[end]
      if (known === undefined || sum > known.score) best[end] = { score: sum, start, id }
    }
    for (let start = 0; start < text.length;) {
      const width = text.codePointAt(start)! > 0xffff ? 2 : 1
      let isCovered = false
      for (let end = start + width; end <= Math.min(text.length, start + longest); end++) {
        const piece = pieces.get(text.slice(start, end))
        if (piece === undefined) continue
        offer(start, end, piece.id, piece.score)
        if (end === start + width) isCovered = true
      }
      if (!isCovered) offer(start, start + width, unk, unknown)
      start += width
    }
    return path(best, text.length, unk)
  }
}

/** From the end back to the start. */
const path = (best: ReadonlyArray<Best | undefined>, length: number, unk: number): ReadonlyArray<number> => {
  const ids: Array<number> = []
  for (let end = length; end > 0;) {
    const { id, start } = best[end]!
    if (!(id === unk && ids.at(-1) === unk)) ids.push(id)
    end = start
  }
  return ids.toReversed()
}
