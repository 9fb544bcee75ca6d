/** The tokenizer that belongs to a model with this vocabulary. */
import type { Model } from "../Model.ts"
import { bpeOfMerges } from "./ByteLevelBPE.ts"
import type { Tokenizer } from "./Tokenizer.ts"
import { wordPiece, type WordPieceOptions } from "./WordPiece.ts"

/**
 * `vocabulary`: the text of a vocab.txt, or of a merges.txt, which says in its first line whose cleaning goes with it. Throws
 * when it has more pieces than the model has embeddings.
 */
export const tokenizerOf = (model: Model, vocabulary: string, options: WordPieceOptions = {}): Tokenizer => {
  const tokenizer = vocabulary.startsWith("#version")
    ? bpeOfMerges(vocabulary, options)
    : wordPiece(vocabulary, options)
  if (tokenizer.vocab_size > model.vocab_size)
    throw new Error(`the vocabulary has ${tokenizer.vocab_size} pieces, but the model ${model.vocab_size} embeddings`)
  return tokenizer
}
