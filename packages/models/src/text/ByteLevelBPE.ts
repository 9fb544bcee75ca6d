/**
 * CLIP's tokenizer: byte-pair encoding of lower-cased words (Sennrich et al. 2016; Radford et al. 2021, section 2.4), as
 * Hugging Face's CLIPTokenizer does it.
 *
 *   "a dog's"  ->  <|startoftext|> a</w> dog</w> 's</w> <|endoftext|>
 *
 * A word's UTF-8 bytes are written as printable characters, its last one with "</w>"; then the pair that was joined earliest
 * in training is joined, wherever it stands, until no known pair is left.
 */
import { framed, type Tokenizer } from "./Tokenizer.ts"

const START = "<|startoftext|>"
const END = "<|endoftext|>"
const WORD_END = "</w>"

const SPECIAL_IN_TEXT = /(<\|startoftext\|>|<\|endoftext\|>)/
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
  const bytes = [...text.replaceAll(WORD_END, " ")].flatMap(
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

export const byteLevelBPE = ({ vocab, merges }: ByteLevelBPEFiles): Tokenizer => {
  const ids = new Map(Object.entries(vocab))
  const ranks = readMerges(merges)
  const missing = [START, END].filter((token) => !ids.has(token))
  if (missing.length > 0) throw new Error(`vocab.json: ${missing.join(", ")} missing`)
  const frame = { start: ids.get(START)!, end: ids.get(END)! }
  const pieces = new Map(Array.from(ids, ([piece, id]) => [id, piece]))
  const plain = (text: string): ReadonlyArray<number> => {
    const words =
      text
        .normalize("NFC")
        .replace(/\p{White_Space}+/gu, " ")
        .toLowerCase()
        .match(WORD) ?? []
    return words.flatMap((word) => join(bytePieces(word), ranks).map((piece) => ids.get(piece) ?? frame.end))
  }
  return {
    ...frame,
    vocab_size: Math.max(...ids.values()) + 1,
    pad: frame.end,
    dec: frame.start,
    enc: frame.start,
    encode: (text, max_length) =>
      framed(
        frame,
        text.split(SPECIAL_IN_TEXT).flatMap((part, i) => (i % 2 === 1 ? [ids.get(part)!] : plain(part))),
        max_length
      ),
    decode: (tokens) => {
      const kept = [...tokens].filter((id) => id !== frame.start && id !== frame.end)
      return decodePieces(kept.map((id) => pieces.get(id) ?? "").join(""))
    }
  }
}
