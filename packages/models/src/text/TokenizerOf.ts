/** The tokenizer that belongs to a model with this vocabulary. */
import type { Model } from "../Model.ts"
import { bpeOfMerges } from "./ByteLevelBPE.ts"
import { SENTENCE_PIECE_HEADER, sentencePiece, sentencePieceIn } from "./SentencePiece.ts"
import type { Tokenizer } from "./Tokenizer.ts"
import { UNIGRAM_HEADER, unigramIn, unigramJson } from "./UnigramJson.ts"
import { wordPiece, type WordPieceOptions } from "./WordPiece.ts"

const anyTokenizer = (vocabulary: string, options: WordPieceOptions): Tokenizer => {
  if (vocabulary.startsWith(SENTENCE_PIECE_HEADER)) {
    const { bytes, options: own } = sentencePieceIn(vocabulary)
    return sentencePiece(bytes, { ...own, ...options })
  }
  if (vocabulary.startsWith(UNIGRAM_HEADER)) {
    const { json, options: own } = unigramIn(vocabulary)
    return unigramJson(json, { ...own, ...options })
  }
  return vocabulary.startsWith("#version") ? bpeOfMerges(vocabulary, options) : wordPiece(vocabulary, options)
}

/**
 * `vocabulary`: the text of a vocab.txt; of a merges.txt, which says in its first line whose cleaning goes with it; or of
 * `sentencePieceVocabulary` or `unigramVocabulary`. Throws when it has more pieces than the model has embeddings.
 */
export const tokenizerOf = (model: Model, vocabulary: string, options: WordPieceOptions = {}): Tokenizer => {
  const tokenizer = anyTokenizer(vocabulary, options)
  if (tokenizer.vocab_size > model.vocab_size)
    throw new Error(`the vocabulary has ${tokenizer.vocab_size} pieces, but the model ${model.vocab_size} embeddings`)
  return tokenizer
}
