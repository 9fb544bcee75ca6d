/**
 * SigLIP's tokenizer: SentencePiece's unigram model (spiece.model), as transformers' SiglipTokenizer uses it.
 *
 *   "A photo of a cat."  ->  ▁a ▁photo ▁of ▁a ▁cat </s>
 *
 * Texts are lower-cased, lose ASCII punctuation and extra spaces, and are normalised by the file's map of characters. There
 * is no first token. The file is a protocol buffer, of which the pieces, the model's kind and the normaliser are read.
 */
import { characterLength, readCharsmap, type Charsmap } from "./Charsmap.ts"
import { fields, floatOf, textOf, type Field } from "./ProtocolBuffer.ts"
import { framedTail, type Tokenizer } from "./Tokenizer.ts"
import { unigramCut } from "./Unigram.ts"

const SPACE = "\u2581"

/** First line of a vocabulary that holds a spiece.model; settings behind it, the file in base64 below. */
export const SENTENCE_PIECE_HEADER = "#sentencepiece"

/** Kinds of pieces in SentencePiece's words. */
const kinds = { normal: 1, unknown: 2, control: 3, unused: 5 } as const
const UNIGRAM = 1

interface Piece {
  readonly text: string
  readonly score: number
  readonly kind: number
}

interface SentencePieceModel {
  readonly pieces: ReadonlyArray<Piece>
  readonly charsmap: Charsmap
  readonly joins_spaces: boolean
}

const pieceOf = (bytes: Uint8Array): Piece => {
  const parts = fields(bytes)
  return {
    text: textOf(parts.get(1)),
    score: floatOf(parts.get(2), 0),
    kind: parts.get(3)?.at(-1)?.number ?? kinds.normal
  }
}

const flag = (parts: ReadonlyMap<number, ReadonlyArray<Field>>, id: number, fallback: boolean): boolean => {
  const value = parts.get(id)?.at(-1)?.number
  return value === undefined ? fallback : value !== 0
}

/** ModelProto: pieces 1, trainer_spec 2 (model_type 3), normalizer_spec 3. Throws an Error that names what isn't supported. */
const readModel = (bytes: Uint8Array): SentencePieceModel => {
  const model = fields(bytes)
  const message = (id: number) => fields(model.get(id)?.at(-1)?.bytes ?? new Uint8Array())
  const [trainer, normalizer] = [message(2), message(3)]
  const type = trainer.get(3)?.at(-1)?.number ?? UNIGRAM
  if (type !== UNIGRAM) throw new Error(`spiece.model: model_type ${type}: expected a unigram model, 1`)
  if (flag(trainer, 24, false)) throw new Error("spiece.model: treat_whitespace_as_suffix is not supported")
  const pieces = (model.get(1) ?? []).map(({ bytes: piece }) => pieceOf(piece ?? new Uint8Array()))
  const odd = pieces.find(({ kind }) => !Object.values<number>(kinds).includes(kind))
  if (odd !== undefined)
    throw new Error(
      `spiece.model: the piece ${JSON.stringify(odd.text)} is of kind ${odd.kind}, which is not supported`
    )
  const map = normalizer.get(2)?.at(-1)?.bytes ?? new Uint8Array()
  return { pieces, charsmap: readCharsmap(map), joins_spaces: flag(normalizer, 4, true) }
}

/** ASCII's. */
const PUNCTUATION = /[!-/:-@[-`{-~]/g
/** Spaces to Python, but not to Unicode. */
const SEPARATORS = "\u001C\u001D\u001E\u001F"

const canonical = (text: string, lower: boolean): string =>
  (lower ? text.toLowerCase() : text)
    .replace(PUNCTUATION, "")
    .replace(/\p{Cc}/gu, (control) => (SEPARATORS.includes(control) ? " " : control))
    .replace(/\p{White_Space}+/gu, " ")
    .replace(/^ | $/g, "")

/** Maps characters and writes spaces as pieces have them. */
const normalized = (text: string, { charsmap, joins_spaces }: SentencePieceModel): string => {
  const bytes = new TextEncoder().encode(text)
  let out = ""
  let afterSpace = false
  for (let at = 0; at < bytes.length;) {
    const found = charsmap.longest(bytes, at)
    const length = found?.length ?? characterLength(bytes, at)
    const own = found?.text ?? new TextDecoder().decode(bytes.subarray(at, at + length))
    const kept: string = afterSpace ? own.replace(/^ +/, "") : own
    if (kept !== "") afterSpace = joins_spaces && kept.endsWith(" ")
    out += kept.replaceAll(" ", SPACE)
    at += length
  }
  return joins_spaces ? out.replace(/\u2581+$/, "") : out
}

export interface SentencePieceOptions {
  /** The piece that pads. Default "</s>". */
  readonly pad?: string
  /** Default true. */
  readonly lower?: boolean
  /** Treat the names of special tokens in a text as text. Default false. */
  readonly literal?: boolean
}

/** A spiece.model as the text that `tokenizerOf` reads. */
export const sentencePieceVocabulary = (bytes: Uint8Array, { pad, lower }: SentencePieceOptions): string => {
  let binary = ""
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return `${SENTENCE_PIECE_HEADER} ${JSON.stringify({ pad, lower })}\n${btoa(binary)}\n`
}

/** The file and the settings in such a text. */
export const sentencePieceIn = (
  vocabulary: string
): { readonly bytes: Uint8Array; readonly options: SentencePieceOptions } => {
  const [header = "", body = ""] = vocabulary.split("\n")
  const options = JSON.parse(header.slice(SENTENCE_PIECE_HEADER.length)) as SentencePieceOptions
  return { bytes: Uint8Array.from(atob(body), (character) => character.charCodeAt(0)), options }
}

const END = "</s>"

/** `bytes`: of spiece.model. Throws an Error where they are none, or of a kind that isn't supported. */
export const sentencePiece = (bytes: Uint8Array, options: SentencePieceOptions = {}): Tokenizer => {
  const { pad = END, lower = true, literal = false } = options
  const model = readModel(bytes)
  const idOf = (text: string): number => {
    const id = model.pieces.findIndex((piece) => piece.text === text)
    if (id < 0) throw new Error(`spiece.model: the piece ${text} is missing`)
    return id
  }
  const unknown = model.pieces.findIndex(({ kind }) => kind === kinds.unknown)
  if (unknown < 0) throw new Error("spiece.model: no piece for the unknown")
  const normal = model.pieces.flatMap(({ text, score, kind }, id) =>
    kind === kinds.normal ? [[text, { id, score }] as const] : []
  )
  const cut = unigramCut({ pieces: new Map(normal), unk: unknown, precision: "float32" })
  const special = new Set([END, model.pieces[unknown]!.text, pad])
  const splitter = new RegExp(
    `(${[...special].map((token) => token.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")).join("|")})`
  )
  const [end, padding] = [idOf(END), idOf(pad)]
  const specialIds = new Set([...special].map(idOf))
  const ofText = (text: string): ReadonlyArray<number> => {
    // The mark of a space is put first by hand: the text itself has lost its spaces by then.
    const marked = SPACE + text.replaceAll(SPACE, " ")
    const parts = literal ? [marked] : marked.split(splitter)
    return parts.flatMap((part, i) => (i % 2 === 1 ? [idOf(part)] : cut(normalized(canonical(part, lower), model))))
  }
  return {
    vocab_size: model.pieces.length,
    pad: padding,
    start: end,
    end,
    dec: end,
    enc: end,
    encode: (text, max_length) => {
      const kept = ofText(text).slice(0, max_length - 1)
      // A text that ends itself isn't ended twice.
      return framedTail(end, kept.at(-1) === end ? kept.slice(0, -1) : kept, max_length)
    },
    decode: (ids) => {
      const kept = [...ids].filter((id) => !specialIds.has(id))
      return kept
        .map((id) => model.pieces[id]?.text ?? "")
        .join("")
        .replaceAll(SPACE, " ")
        .trim()
    }
  }
}
