/**
 * A unigram tokenizer of Hugging Face's tokenizers (tokenizer.json): what its normaliser, pre-tokeniser and template say.
 *
 *   text -> special tokens apart -> normaliser -> pieces of words -> unigramCut -> ids, end
 *
 * Steps that aren't implemented are refused by name.
 */
import { readCharsmap } from "./Charsmap.ts"
import { framedTail, type Tokenizer } from "./Tokenizer.ts"
import { unigramCut } from "./Unigram.ts"

/** Metaspace's default. */
const MARK = "\u2581"

/** First line of a vocabulary that holds such a tokenizer.json; settings behind it, the JSON below. */
export const UNIGRAM_HEADER = "#unigram"

type Json = Readonly<Record<string, unknown>>
type Step = (text: string) => string
/** `isFirst`: nothing of the text stands before. */
type Splitter = (text: string, isFirst: boolean) => ReadonlyArray<string>

const objectOf = (value: unknown): Json => (typeof value === "object" && value !== null ? (value as Json) : {})
const listOf = (value: unknown): ReadonlyArray<Json> => (Array.isArray(value) ? value.map(objectOf) : [])
const stringOf = (value: unknown): string => (typeof value === "string" ? value : "")

const unsupported = (what: string, value: unknown): Error =>
  new Error(`tokenizer.json: ${what}: ${JSON.stringify(value)} is not supported`)

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")

/** One character or set of characters, and how often: what SigLIP's files have, and what can't take forever on any text. */
const SIMPLE_PATTERN = /^(\[(\\.|[^\]\\])+\]|\\s| )(\+|\{\d+,?\d*\})?$/u

const patternOf = (pattern: Json): RegExp => {
  if (typeof pattern["String"] === "string") return new RegExp(escaped(pattern["String"]), "gu")
  const source = stringOf(pattern["Regex"])
  if (!SIMPLE_PATTERN.test(source)) throw unsupported("normalizer.pattern.Regex", source)
  try {
    // Without the flag u: such patterns escape characters that need none.
    return new RegExp(source.replaceAll("\\s", "[\\s\\u0085]"), "g")
  } catch {
    throw unsupported("normalizer.pattern.Regex", source)
  }
}

/** The map of characters as tokenizers applies it: to whole graphemes of at most 5 bytes, else character by character. */
const precompiled = (base64: string): Step => {
  const charsmap = readCharsmap(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)))
  const mapped = (text: string): string | undefined => charsmap.shortest(new TextEncoder().encode(text), 0)?.text
  const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" })
  return (text) =>
    Array.from(graphemes.segment(text), ({ segment }) => {
      const whole = new TextEncoder().encode(segment).length < 6 ? mapped(segment) : undefined
      return whole ?? Array.from(segment, (character) => mapped(character) ?? character).join("")
    }).join("")
}

const stepOf = (given: unknown): Step => {
  const step = objectOf(given)
  switch (step["type"]) {
    case undefined:
      return (text) => text
    case "Sequence": {
      const steps = listOf(step["normalizers"]).map(stepOf)
      return (text) => steps.reduce((done, each) => each(done), text)
    }
    case "Lowercase":
      // Letter by letter: a sigma at a word's end stays the usual one.
      return (text) => text.replaceAll("\u03A3", "\u03C3").toLowerCase()
    case "Strip": {
      const [left, right] = [step["strip_left"] === true, step["strip_right"] === true]
      return (text) => {
        const started = left ? text.replace(/^\p{White_Space}+/u, "") : text
        return right ? started.replace(/\p{White_Space}+$/u, "") : started
      }
    }
    case "Replace": {
      const [pattern, content] = [patternOf(objectOf(step["pattern"])), stringOf(step["content"])]
      return (text) => text.replace(pattern, () => content)
    }
    case "Prepend":
      return (text) => (text === "" ? text : stringOf(step["prepend"]) + text)
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD": {
      const form = step["type"]
      return (text) => text.normalize(form)
    }
    case "Precompiled":
      return precompiled(stringOf(step["precompiled_charsmap"]))
    default:
      throw unsupported("normalizer.type", step["type"])
  }
}

const metaspace = (settings: Json): Splitter => {
  const mark = stringOf(settings["replacement"])
  const scheme = settings["prepend_scheme"] ?? (settings["add_prefix_space"] === false ? "never" : "always")
  const splits = settings["split"] !== false
  return (text, isFirst) => {
    const marked = text.replaceAll(" ", mark)
    const prepends = (scheme === "always" || (scheme === "first" && isFirst)) && !marked.startsWith(mark)
    const whole = prepends ? mark + marked : marked
    return splits ? whole.split(new RegExp(`(?=${escaped(mark)})`, "u")) : [whole]
  }
}

const splitterOf = (given: unknown): Splitter => {
  const settings = objectOf(given)
  switch (settings["type"]) {
    case undefined:
      return (text) => [text]
    case "Sequence": {
      const splitters = listOf(settings["pretokenizers"]).map(splitterOf)
      return (text, isFirst) =>
        splitters.reduce<ReadonlyArray<string>>(
          (parts, each) => parts.flatMap((part, i) => each(part, isFirst && i === 0)),
          [text]
        )
    }
    case "WhitespaceSplit":
      return (text) => text.split(/\p{White_Space}+/u).filter((word) => word !== "")
    case "Metaspace":
      return metaspace(settings)
    default:
      throw unsupported("pre_tokenizer.type", settings["type"])
  }
}

/** The token behind a text; nothing may stand before it. */
const endOf = (given: unknown): string => {
  const settings = objectOf(given)
  const single = listOf(settings["single"])
  const end = objectOf(single[1]?.["SpecialToken"])["id"]
  if (
    settings["type"] !== "TemplateProcessing" ||
    single.length !== 2 ||
    !single[0]?.["Sequence"] ||
    typeof end !== "string"
  )
    throw unsupported("post_processor", settings["single"] ?? settings["type"])
  return end
}

interface Added {
  readonly id: number
  readonly content: string
  readonly lstrip?: boolean
  readonly rstrip?: boolean
}

/** Texts between special tokens, and the tokens; a token may take the spaces beside it. */
const apart = (added: ReadonlyArray<Added>): RegExp => {
  const longestFirst = added.toSorted((a, b) => b.content.length - a.content.length)
  const one = ({ content, lstrip, rstrip }: Added): string =>
    `${lstrip === true ? "\\p{White_Space}*" : ""}${escaped(content)}${rstrip === true ? "\\p{White_Space}*" : ""}`
  return added.length === 0 ? /(?!)/ : new RegExp(`(${longestFirst.map(one).join("|")})`, "u")
}

export interface UnigramJsonOptions {
  /** The piece that pads. Default "</s>". */
  readonly pad?: string
  /** Treat the names of special tokens in a text as text. Default false. */
  readonly literal?: boolean
}

/** A tokenizer.json as the text that `tokenizerOf` reads. */
export const unigramVocabulary = (json: unknown, { pad }: UnigramJsonOptions): string =>
  `${UNIGRAM_HEADER} ${JSON.stringify({ pad })}\n${JSON.stringify(json)}\n`

/** The parsed file and the settings in such a text. */
export const unigramIn = (vocabulary: string): { readonly json: unknown; readonly options: UnigramJsonOptions } => {
  const [header = "", body = ""] = vocabulary.split("\n")
  return { json: JSON.parse(body), options: JSON.parse(header.slice(UNIGRAM_HEADER.length)) as UnigramJsonOptions }
}

/** `json`: a parsed tokenizer.json whose model is a unigram. Throws an Error that names what isn't supported. */
export const unigramJson = (json: unknown, { pad = "</s>", literal = false }: UnigramJsonOptions = {}): Tokenizer => {
  const root = objectOf(json)
  const model = objectOf(root["model"])
  if (model["type"] !== "Unigram") throw unsupported("model.type", model["type"])
  if (model["byte_fallback"] === true) throw unsupported("model.byte_fallback", true)
  const vocab = listOf(model["vocab"]) as unknown as ReadonlyArray<readonly [string, number]>
  const odd = vocab.findIndex((piece) => typeof piece[0] !== "string" || typeof piece[1] !== "number")
  if (odd >= 0) throw unsupported(`model.vocab[${odd}]`, vocab[odd])
  const unk = model["unk_id"]
  if (typeof unk !== "number" || vocab[unk] === undefined) throw unsupported("model.unk_id", unk)
  const pieces = new Map(vocab.map(([text, score], id) => [text, { id, score }]))
  const added = listOf(root["added_tokens"]).filter(
    ({ special }) => special === true
  ) as unknown as ReadonlyArray<Added>
  const idOf = (text: string): number => {
    const id = pieces.get(text)?.id ?? added.find(({ content }) => content === text)?.id
    if (id === undefined) throw new Error(`tokenizer.json: the piece ${text} is missing`)
    return id
  }
  const [normalized, split] = [stepOf(root["normalizer"]), splitterOf(root["pre_tokenizer"])]
  const cut = unigramCut({ pieces, unk, precision: "float64" })
  const splitter = literal ? /(?!)/ : apart(added)
  const [end, padding] = [idOf(endOf(root["post_processor"])), idOf(pad)]
  const specialIds = new Set([end, padding, unk, ...added.map(({ id }) => id)])
  const ofPart = (part: string, i: number): ReadonlyArray<number> => {
    if (i % 2 === 1) return [idOf(added.find(({ content }) => part.includes(content))!.content)]
    const text = normalized(part)
    return text === "" ? [] : split(text, i === 0).flatMap(cut)
  }
  return {
    vocab_size: Math.max(vocab.length, ...added.map(({ id }) => id + 1)),
    pad: padding,
    start: end,
    end,
    dec: end,
    enc: end,
    encode: (text, max_length) => framedTail(end, text.split(splitter).flatMap(ofPart), max_length),
    decode: (ids) => {
      const kept = [...ids].filter((id) => !specialIds.has(id))
      // The mark that was put first is no space of the text.
      const words = kept.map((id, i) => (vocab[id]?.[0] ?? "").replaceAll(MARK, i === 0 ? "" : " "))
      return words.join("").trimEnd()
    }
  }
}
