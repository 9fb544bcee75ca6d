/**
 * CLIP's tokenizer: byte-pair encoding of lower-cased words (Sennrich et al. 2016; Radford et al. 2021, section 2.4), as
 * Hugging Face's CLIPTokenizer does it, and as OpenAI's code and open_clip do it.
 *
 *   "a dog's"  ->  <|startoftext|> a</w> dog</w> 's</w> <|endoftext|>
 *
 * A word's UTF-8 bytes are written as printable characters, its last one with "</w>"; then the pair that was joined earliest
 * in training is joined, wherever it stands, until no known pair is left.
 */
import { cleanText } from "./CleanText.ts"
import { framed, type Tokenizer } from "./Tokenizer.ts"

const START = "<|startoftext|>"
const END = "<|endoftext|>"
const WORD_END = "</w>"

const WORD = /'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\p{White_Space}\p{L}\p{N}]+/gu

/** Bytes as characters: printable Latin-1 stands for itself, the rest are moved behind it. */
const byteCharacters = (): ReadonlyArray<string> => {
  const isPrintable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae
  let moved = 0
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(isPrintable(byte) ? byte : 256 + moved++))
}

const BYTE_CHARACTERS = byteCharacters()
const BYTE_OF = new Map(BYTE_CHARACTERS.map((character, byte) => [character, byte]))

/** Lines "left right" in order of training; a first line "#version" is a comment. */
const readMerges = (text: string): ReadonlyMap<string, number> =>
  new Map(
    text
      .split(/\r?\n/)
      .filter((line, i) => line !== "" && !(i === 0 && line.startsWith("#")))
      .map((line, rank) => [line, rank])
  )

/** Joins every occurrence of the pair with the lowest rank, again and again. */
const join = (pieces: ReadonlyArray<string>, ranks: ReadonlyMap<string, number>): ReadonlyArray<string> => {
  const rankAt = (at: ReadonlyArray<string>, i: number): number => ranks.get(`${at[i]} ${at[i + 1]}`) ?? Infinity
  let now = pieces
  for (;;) {
    let best = Infinity
    for (let i = 0; i + 1 < now.length; i++) best = Math.min(best, rankAt(now, i))
    if (best === Infinity) return now
    const next: Array<string> = []
    for (let i = 0; i < now.length; i++) {
      const joins = i + 1 < now.length && rankAt(now, i) === best
      next.push(joins ? now[i]! + now[i + 1]! : now[i]!)
      if (joins) i++
    }
    now = next
  }
}

const bytePieces = (word: string): ReadonlyArray<string> => {
  const characters = Array.from(new TextEncoder().encode(word), (byte) => BYTE_CHARACTERS[byte]!)
  return [...characters.slice(0, -1), characters.at(-1)! + WORD_END]
}

const decodePieces = (text: string): string => {
  const bytes = Array.from(text.replaceAll(WORD_END, " ")).flatMap(
    (character) => BYTE_OF.get(character) ?? (character === " " ? 32 : [])
  )
  return new TextDecoder().decode(Uint8Array.from(bytes)).trim()
}

export interface ByteLevelBPEFiles {
  /** Parsed vocab.json: piece to id. */
  readonly vocab: Readonly<Record<string, number>>
  /** Text of merges.txt. */
  readonly merges: string
}

/** What the two families of code do differently around the same merges. */
interface Flavour {
  readonly start: number
  readonly end: number
  readonly pad: number
  /** Names of special tokens that stand for them in a text; one group. */
  readonly special: RegExp
  readonly clean: (text: string) => string
}

const bpe = (ids: ReadonlyMap<string, number>, ranks: ReadonlyMap<string, number>, flavour: Flavour): Tokenizer => {
  const { start, end, pad, special, clean } = flavour
  const pieces = new Map(Array.from(ids, ([piece, id]) => [id, piece]))
  const plain = (text: string): ReadonlyArray<number> =>
    (clean(text).match(WORD) ?? []).flatMap((word) =>
      join(bytePieces(word), ranks).map((piece) => ids.get(piece) ?? end)
    )
  return {
    start,
    end,
    pad,
    vocab_size: Math.max(...ids.values()) + 1,
    dec: start,
    enc: start,
    encode: (text, max_length) =>
      framed(
        { start, end },
        text.split(special).flatMap((part, i) => (i % 2 === 1 ? [ids.get(part) ?? end] : plain(part))),
        max_length
      ),
    decode: (tokens) => {
      const kept = [...tokens].filter((id) => id !== start && id !== end)
      return decodePieces(kept.map((id) => pieces.get(id) ?? "").join(""))
    }
  }
}

export interface BPEOptions {
  /** Treat the names of special tokens in a text as text. Default false. */
  readonly literal?: boolean
}

const NEVER = /(?!)/

/** Hugging Face's CLIPTokenizer: composed, spaces joined, lower case; padded with the end token. */
export const byteLevelBPE = ({ vocab, merges }: ByteLevelBPEFiles, options: BPEOptions = {}): Tokenizer => {
  const ids = new Map(Object.entries(vocab))
  const missing = [START, END].filter((token) => !ids.has(token))
  if (missing.length > 0) throw new Error(`vocab.json: ${missing.join(", ")} missing`)
  const end = ids.get(END)!
  return bpe(ids, readMerges(merges), {
    start: ids.get(START)!,
    end,
    pad: end,
    special: options.literal === true ? NEVER : /(<\|startoftext\|>|<\|endoftext\|>)/,
    clean: (text) =>
      text
        .normalize("NFC")
        .replace(/\p{White_Space}+/gu, " ")
        // Letter by letter: a sigma at a word's end stays the usual one.
        .replaceAll("\u03A3", "\u03C3")
        .toLowerCase()
  })
}

/** A vocabulary of 49152 pieces has room for so many merges; OpenAI's file holds more. */
const NUM_MERGES = 49152 - 256 - 2

/** Ids follow from the merges: 256 bytes, the same ending a word, the joined pairs, then start and end of text. */
const idsOfMerges = (ranks: ReadonlyMap<string, number>): ReadonlyMap<string, number> => {
  const bytes = [...BYTE_CHARACTERS].sort((a, b) => a.codePointAt(0)! - b.codePointAt(0)!)
  const joined = Array.from(ranks.keys(), (pair) => pair.replace(" ", ""))
  const pieces = [...bytes, ...bytes.map((byte) => byte + WORD_END), ...joined, START, END]
  return new Map(pieces.map((piece, id) => [piece, id]))
}

/**
 * OpenAI's and open_clip's SimpleTokenizer: texts are repaired first (`cleanText`), padding is 0. `merges`: the text of
 * bpe_simple_vocab_16e6.txt, unzipped.
 */
export const openAiBPE = (merges: string, options: BPEOptions = {}): Tokenizer => {
  const ranks = new Map([...readMerges(merges)].slice(0, NUM_MERGES))
  const ids = new Map([...idsOfMerges(ranks)].map(([piece, id]) => [openClipNames[piece] ?? piece, id]))
  return bpe(ids, ranks, {
    start: ids.get(openClipNames[START]!)!,
    end: ids.get(openClipNames[END]!)!,
    pad: 0,
    special: options.literal === true ? NEVER : /(<start_of_text>|<end_of_text>)/,
    clean: (text) => cleanText(text).toLowerCase()
  })
}

/** open_clip's names of the two special tokens. */
const openClipNames: Readonly<Record<string, string>> = { [START]: "<start_of_text>", [END]: "<end_of_text>" }

const OPEN_CLIP_HEADER = "#version: 0.2 open_clip"

/** A merges.txt that says by itself which of the two tokenizers it belongs to. */
export const mergesFor = (flavour: "transformers" | "open_clip", merges: string): string => {
  const lines = merges.split(/\r?\n/).slice(merges.startsWith("#") ? 1 : 0)
  return [flavour === "open_clip" ? OPEN_CLIP_HEADER : "#version: 0.2", ...lines].join("\n")
}

/** The ids that follow from the order of the merges, which is how both families number their pieces. */
export const vocabOfMerges = (merges: string): Readonly<Record<string, number>> =>
  Object.fromEntries(idsOfMerges(readMerges(merges)))

/** The tokenizer of a text by `mergesFor`. */
export const bpeOfMerges = (merges: string, options: BPEOptions = {}): Tokenizer =>
  merges.startsWith(OPEN_CLIP_HEADER)
    ? openAiBPE(merges, options)
    : byteLevelBPE({ vocab: vocabOfMerges(merges), merges }, options)
