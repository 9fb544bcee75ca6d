/**
 * The tokenizer of a checkpoint folder, from whichever files are there.
 *
 *   vocab.json + merges.txt    CLIP's byte-level BPE, as transformers names it
 *   *.txt.gz                   the same merges, as OpenAI's code ships them
 *   vocab.txt                  BERT's WordPiece
 *   spiece.model               SigLIP's SentencePiece
 *   tokenizer.json             BPE, WordPiece or a unigram model, where nothing else is there
 */
import { Files, parseJson } from "@bootlace/data"
import type { Limits } from "@bootlace/data"
import {
  byteLevelBPE,
  mergesFor,
  openAiBPE,
  sentencePiece,
  sentencePieceVocabulary,
  unigramJson,
  unigramVocabulary,
  vocabOfMerges,
  wordPiece
} from "@bootlace/models"
import type { Tokenizer } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { promisify } from "node:util"
import { gunzip } from "node:zlib"
import { attemptCheckpoint, CheckpointError } from "./CheckpointError.ts"

const unzip = promisify(gunzip)

export type CheckpointFormat = "transformers" | "open_clip"

export interface CheckpointTokenizer {
  readonly tokenizer: Tokenizer
  /** What `tokenizerOf` makes the same tokenizer of; undefined where ids don't follow from the files' order. */
  readonly vocabulary: string | undefined
}

type Vocab = Readonly<Record<string, number>>

const ofMerges = (format: CheckpointFormat, merges: string, vocab?: Vocab): CheckpointTokenizer => {
  const vocabulary = mergesFor(format, merges)
  if (format === "open_clip") return { tokenizer: openAiBPE(merges), vocabulary }
  const usual = vocabOfMerges(vocabulary)
  const given = vocab ?? usual
  const same = Object.entries(usual).every(([piece, id]) => given[piece] === id)
  return { tokenizer: byteLevelBPE({ vocab: given, merges }), vocabulary: same ? vocabulary : undefined }
}

const ofLines = (vocabulary: string): CheckpointTokenizer => ({ tokenizer: wordPiece(vocabulary), vocabulary })

interface SentencePieceSettings {
  readonly pad_token?: string | { readonly content?: string }
  readonly do_lower_case?: boolean
}

const padOf = (pad: SentencePieceSettings["pad_token"]): string =>
  typeof pad === "string" ? pad : (pad?.content ?? "</s>")

const ofSentencePiece = (
  bytes: Uint8Array,
  { pad_token, do_lower_case }: SentencePieceSettings
): CheckpointTokenizer => {
  const options = { pad: padOf(pad_token), lower: do_lower_case !== false }
  return { tokenizer: sentencePiece(bytes, options), vocabulary: sentencePieceVocabulary(bytes, options) }
}

interface TokenizerJson {
  readonly model?: {
    readonly type?: string
    readonly byte_fallback?: boolean
    readonly vocab?: Vocab
    readonly merges?: ReadonlyArray<string | readonly [string, string]>
  }
  readonly added_tokens?: ReadonlyArray<{ readonly id: number; readonly content: string }>
}

const ofUnigram = (json: unknown, { pad_token }: SentencePieceSettings): CheckpointTokenizer => {
  const options = { pad: padOf(pad_token) }
  return { tokenizer: unigramJson(json, options), vocabulary: unigramVocabulary(json, options) }
}

/** The two kinds of tokenizer.json that CLIP and BLIP have. Throws on others. */
const ofTokenizerJson = (
  format: CheckpointFormat,
  { model, added_tokens = [] }: TokenizerJson
): CheckpointTokenizer => {
  const vocab = { ...model?.vocab, ...Object.fromEntries(added_tokens.map(({ id, content }) => [content, id])) }
  if (model?.byte_fallback === true)
    throw new Error(`tokenizer.json: model.byte_fallback: a ${model.type} with byte fallback is not supported`)
  if (model?.type === "BPE") {
    const pairs = (model.merges ?? []).map((pair) => (typeof pair === "string" ? pair : pair.join(" ")))
    return ofMerges(format, ["#version: 0.2", ...pairs, ""].join("\n"), vocab)
  }
  if (model?.type !== "WordPiece")
    throw new Error(`tokenizer.json: model.type: expected BPE, WordPiece or Unigram, got ${model?.type}`)
  const lines: Array<string> = []
  for (const [piece, id] of Object.entries(vocab)) lines[id] = piece
  if (Object.keys(lines).length !== lines.length) throw new Error("tokenizer.json: ids have holes")
  return ofLines(`${lines.join("\n")}\n`)
}

/** OpenAI's file is gzipped text of 1.3 MB; a limit keeps a bomb out. */
const unzipped = Effect.fnUntraced(function* (folder: string, name: string, limits: Limits) {
  const files = yield* Files
  const bytes = yield* files.read(join(folder, name))
  const plain = yield* Effect.tryPromise({
    try: () => unzip(bytes, { maxOutputLength: limits.json_bytes }),
    catch: (cause) => new CheckpointError({ folder, detail: `${name}: ${(cause as Error).message}` })
  })
  return new TextDecoder().decode(plain)
})

const TOKENIZER =
  /^(vocab\.json|merges\.txt|vocab\.txt|spiece\.model|tokenizer\.json|tokenizer_config\.json|.*\.txt\.gz)$/

/** Those of a folder's files that readTokenizer may read. */
export const tokenizerFiles = (names: ReadonlyArray<string>): ReadonlyArray<string> =>
  names.filter((name) => TOKENIZER.test(name))

/** Reads what is there. Undefined when the folder holds no tokenizer. */
export const readTokenizer = Effect.fnUntraced(function* (
  folder: string,
  names: ReadonlyArray<string>,
  format: CheckpointFormat,
  limits: Limits
) {
  const files = yield* Files
  const text = (name: string) => Effect.map(files.read(join(folder, name)), (bytes) => new TextDecoder().decode(bytes))
  const json = Effect.fnUntraced(function* (name: string) {
    const bytes = yield* files.read(join(folder, name))
    return yield* attemptCheckpoint(folder, () => parseJson(bytes, limits, { file: name }))
  })
  const settings = Effect.suspend(() =>
    names.includes("tokenizer_config.json") ? json("tokenizer_config.json") : Effect.succeed({})
  ).pipe(Effect.map((given) => given as SentencePieceSettings))
  const attempt = (make: () => CheckpointTokenizer) => attemptCheckpoint(folder, make)
  const gzipped = names.find((name) => name.endsWith(".txt.gz"))
  if (gzipped !== undefined) {
    const merges = yield* unzipped(folder, gzipped, limits)
    return yield* attempt(() => ofMerges(format, merges))
  }
  if (names.includes("vocab.json") && names.includes("merges.txt")) {
    const vocab = yield* json("vocab.json")
    const merges = yield* text("merges.txt")
    return yield* attempt(() => ofMerges(format, merges, vocab as Vocab))
  }
  if (names.includes("vocab.txt")) {
    const vocabulary = yield* text("vocab.txt")
    return yield* attempt(() => ofLines(vocabulary))
  }
  if (names.includes("spiece.model")) {
    const bytes = yield* files.read(join(folder, "spiece.model"))
    const own = yield* settings
    return yield* attempt(() => ofSentencePiece(bytes, own))
  }
  if (!names.includes("tokenizer.json")) return undefined
  const parsed = yield* json("tokenizer.json")
  if ((parsed as TokenizerJson).model?.type === "Unigram") {
    const own = yield* settings
    return yield* attempt(() => ofUnigram(parsed, own))
  }
  return yield* attempt(() => ofTokenizerJson(format, parsed as TokenizerJson))
})
