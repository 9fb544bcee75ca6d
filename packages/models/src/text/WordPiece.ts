/**
 * WordPiece with BERT's vocabulary files (Devlin et al. 2019; Schuster and Nakajima 2012), as BLIP uses it.
 *
 *   "a dog running"  ->  [CLS] a dog run ##ning [SEP]
 *
 * A word is cut from the left into the longest pieces that the vocabulary has; a word with no such cut, or longer than 100
 * characters, is [UNK]. The names of special tokens in a text stand for those tokens, as in transformers, unless `literal`
 * is set: captions from the web should not be able to end themselves.
 */
import { bertWords } from "./BertWords.ts"
import { SPECIAL_TOKENS } from "./SpecialTokens.ts"
import { framed, type Tokenizer } from "./Tokenizer.ts"

const MAX_CHARS = 100

export interface WordPieceOptions {
  /** Treat "[SEP]" in a text as five characters. Default false. */
  readonly literal?: boolean
}

export interface WordPiece extends Tokenizer {
  readonly unk: number
  /** Piece number i, e.g. "##ning". */
  readonly pieces: ReadonlyArray<string>
}

/** Lines of a vocab.txt; [DEC] and [ENC] are added behind the end where they are missing, as BLIP does. */
export const readVocabulary = (text: string): ReadonlyArray<string> => {
  const lines = text.replace(/\r?\n$/, "").split(/\r?\n/)
  return [...lines, ...["[DEC]", "[ENC]"].filter((token) => !lines.includes(token))]
}

const idsOf = (pieces: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const ids = new Map(pieces.map((piece, id) => [piece, id]))
  if (ids.size !== pieces.length) {
    const twice = pieces.find((piece, id) => ids.get(piece) !== id)
    throw new Error(`vocabulary: the piece ${JSON.stringify(twice)} stands there twice`)
  }
  const missing = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].filter((token) => !ids.has(token))
  if (missing.length > 0) throw new Error(`vocabulary: ${missing.join(", ")} missing`)
  return ids
}

/** The ids of one word's pieces, or undefined when it can't be cut. */
const cut = (word: string, ids: ReadonlyMap<string, number>): ReadonlyArray<number> | undefined => {
  const chars = Array.from(word)
  if (chars.length > MAX_CHARS) return undefined
  const found: Array<number> = []
  for (let start = 0; start < chars.length;) {
    let end = chars.length
    const piece = (): string => (start > 0 ? "##" : "") + chars.slice(start, end).join("")
    while (end > start && !ids.has(piece())) end--
    if (end === start) return undefined
    found.push(ids.get(piece())!)
    start = end
  }
  return found
}

const SPECIAL_IN_TEXT = new RegExp(`(${SPECIAL_TOKENS.map((token) => token.replace(/[[\]]/g, "\\$&")).join("|")})`)

/** No space before a mark that ends a clause; apostrophes keep theirs, as in transformers. */
const tidy = (text: string): string => text.replace(/ ([.?!,])/g, "$1")

/** `vocabulary`: the text of a vocab.txt, or its lines. */
export const wordPiece = (vocabulary: string | ReadonlyArray<string>, options: WordPieceOptions = {}): WordPiece => {
  const pieces = typeof vocabulary === "string" ? readVocabulary(vocabulary) : vocabulary
  const ids = idsOf(pieces)
  const idOf = (token: string): number => ids.get(token) ?? ids.get("[CLS]")!
  const unk = idOf("[UNK]")
  const special = new Set(SPECIAL_TOKENS.filter((token) => ids.has(token)).map(idOf))
  const plain = (text: string): ReadonlyArray<number> => bertWords(text).flatMap((word) => cut(word, ids) ?? [unk])
  const ofText = (text: string): ReadonlyArray<number> =>
    options.literal === true
      ? plain(text)
      : text.split(SPECIAL_IN_TEXT).flatMap((part, i) => (i % 2 === 1 && ids.has(part) ? [idOf(part)] : plain(part)))
  const frame = { start: idOf("[CLS]"), end: idOf("[SEP]") }
  return {
    ...frame,
    vocab_size: pieces.length,
    pad: idOf("[PAD]"),
    unk,
    dec: idOf("[DEC]"),
    enc: idOf("[ENC]"),
    pieces,
    encode: (text, max_length) => framed(frame, ofText(text), max_length),
    decode: (tokens) => {
      const words = [...tokens].filter((id) => !special.has(id)).map((id) => pieces[id] ?? "[UNK]")
      return tidy(words.join(" ").replaceAll(" ##", ""))
    }
  }
}
