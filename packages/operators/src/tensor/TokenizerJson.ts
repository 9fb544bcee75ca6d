/**
 * tokenizer.json, the one file that transformers.js and the fast tokenizers of transformers read: CLIP's byte-level BPE and BERT's
 * WordPiece with their normalizers, splits and special tokens.
 */
import { SPECIAL_TOKENS, readVocabulary, vocabOfMerges } from "@bootlace/models"

type Vocab = Readonly<Record<string, number>>

const added = (vocab: Vocab, names: ReadonlyArray<string>) =>
  names
    .filter((content) => vocab[content] !== undefined)
    .map((content) => ({
      id: vocab[content]!,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: true
    }))
    .toSorted((a, b) => a.id - b.id)

const frame = { version: "1.0", truncation: null, padding: null }

const [bos, eos] = ["<|startoftext|>", "<|endoftext|>"] as const

/** Contractions, runs of letters, single digits, runs of anything else (Radford et al. 2021, code). */
const clipWords = String.raw`<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+`

/** `merges`: a merges.txt. */
export const clipTokenizerJson = (merges: string): object => {
  const vocab = vocabOfMerges(merges)
  const pairs = merges
    .split("\n")
    .slice(1)
    .filter((line) => line !== "")
  const byteLevel = { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true }
  return {
    ...frame,
    added_tokens: added(vocab, [bos, eos]),
    normalizer: {
      type: "Sequence",
      normalizers: [
        { type: "NFC" },
        { type: "Replace", pattern: { Regex: String.raw`\s+` }, content: " " },
        { type: "Lowercase" }
      ]
    },
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Split", pattern: { Regex: clipWords }, behavior: "Removed", invert: true }, byteLevel]
    },
    post_processor: {
      type: "RobertaProcessing",
      sep: [eos, vocab[eos]],
      cls: [bos, vocab[bos]],
      trim_offsets: false,
      add_prefix_space: false
    },
    decoder: { ...byteLevel, add_prefix_space: true },
    model: {
      type: "BPE",
      dropout: null,
      unk_token: eos,
      continuing_subword_prefix: "",
      end_of_word_suffix: "</w>",
      fuse_unk: false,
      vocab,
      merges: pairs
    }
  }
}

/** `vocabulary`: a vocab.txt. */
export const bertTokenizerJson = (vocabulary: string): object => {
  const vocab: Vocab = Object.fromEntries(readVocabulary(vocabulary).map((token, id) => [token, id]))
  const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } })
  const special = (id: string) => ({ id, ids: [vocab[id]], tokens: [id] })
  const text = { Sequence: { id: "A", type_id: 0 } }
  return {
    ...frame,
    added_tokens: added(vocab, SPECIAL_TOKENS),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "TemplateProcessing",
      single: [token("[CLS]"), text, token("[SEP]")],
      pair: [
        token("[CLS]"),
        text,
        token("[SEP]"),
        { Sequence: { id: "B", type_id: 1 } },
        { SpecialToken: { id: "[SEP]", type_id: 1 } }
      ],
      special_tokens: { "[CLS]": special("[CLS]"), "[SEP]": special("[SEP]") }
    },
    decoder: { type: "WordPiece", prefix: "##", cleanup: true },
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab
    }
  }
}
