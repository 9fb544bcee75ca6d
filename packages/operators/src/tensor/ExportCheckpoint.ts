/**
 * Writes a model as a folder that `from_pretrained` of transformers opens: config.json, model.safetensors,
 * preprocessor_config.json and the tokenizer's files. As float32 weights keep every bit.
 *
 * Weights beyond `max_shard_bytes` go into several files, model-00001-of-00003.safetensors and so on, with
 * model.safetensors.index.json, which says where each is.
 */
import { Files, toBfloat16, toFloat16, writeFile, writeSafetensors } from "@bootlace/data"
import type { TensorData } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import {
  preprocessorConfig,
  readVocabulary,
  SENTENCE_PIECE_HEADER,
  sentencePieceIn,
  toHuggingFace,
  tokenizerOf,
  UNIGRAM_HEADER,
  unigramIn,
  vocabOfMerges
} from "@bootlace/models"
import type { HuggingFaceClass, Model } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { attemptCheckpoint } from "./CheckpointError.ts"
import { bertTokenizerJson, clipTokenizerJson } from "./TokenizerJson.ts"

export interface ExportedModel {
  readonly model: Model
  readonly weights: HostTensors
  /** The text of a vocab.txt, merges.txt, spiece.model or unigram tokenizer.json, as `tokenizerOf` takes it. */
  readonly vocabulary: string
}

export type ExportDtype = "float32" | "float16" | "bfloat16"

export interface ExportOptions {
  /** The class of transformers; a BLIP model of one's own fits several. Default: the config's, or the captioner's. */
  readonly as?: HuggingFaceClass | undefined
  /** Of the stored weights. 16 bits halve the files and round the weights. Default float32. */
  readonly dtype?: ExportDtype | undefined
  /** Default 5e9, as transformers has it. */
  readonly max_shard_bytes?: number
}

type Contents = Readonly<Record<string, string | Uint8Array>>
type Tensors = Readonly<Record<string, TensorData>>

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const clipTokenizer = (merges: string, settings: object): Contents => ({
  "merges.txt": ["#version: 0.2", ...merges.split("\n").slice(1)].join("\n"),
  "vocab.json": json(vocabOfMerges(merges)),
  "tokenizer.json": json(clipTokenizerJson(merges)),
  "tokenizer_config.json": json({
    tokenizer_class: "CLIPTokenizer",
    bos_token: "<|startoftext|>",
    eos_token: "<|endoftext|>",
    unk_token: "<|endoftext|>",
    pad_token: "<|endoftext|>",
    ...settings
  })
})

const bertTokenizer = (vocabulary: string, settings: object): Contents => ({
  "vocab.txt": `${readVocabulary(vocabulary).join("\n")}\n`,
  "tokenizer.json": json(bertTokenizerJson(vocabulary)),
  "tokenizer_config.json": json({
    tokenizer_class: "BertTokenizer",
    do_lower_case: true,
    strip_accents: null,
    tokenize_chinese_chars: true,
    bos_token: "[DEC]",
    cls_token: "[CLS]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    unk_token: "[UNK]",
    mask_token: "[MASK]",
    extra_special_tokens: ["[ENC]"],
    ...settings
  })
})

const siglipTokenizer = (vocabulary: string, settings: object): Contents => {
  const { bytes, options } = sentencePieceIn(vocabulary)
  return {
    "spiece.model": bytes,
    "tokenizer_config.json": json({
      tokenizer_class: "SiglipTokenizer",
      do_lower_case: options.lower,
      eos_token: "</s>",
      unk_token: "<unk>",
      pad_token: options.pad,
      ...settings
    })
  }
}

const unigramTokenizer = (vocabulary: string, settings: object): Contents => {
  const { json: tokenizer, options } = unigramIn(vocabulary)
  return {
    "tokenizer.json": json(tokenizer),
    "tokenizer_config.json": json({
      tokenizer_class: "PreTrainedTokenizerFast",
      eos_token: "</s>",
      unk_token: "<unk>",
      pad_token: options.pad,
      ...settings
    })
  }
}

const tokenizerFiles = (vocabulary: string, { max_text_length, text_padding }: Model): Contents => {
  // A model that reads padding like text is given no mask.
  const inputs = text_padding === "full" ? { model_input_names: ["input_ids"] } : {}
  const settings = { model_max_length: max_text_length, ...inputs }
  if (vocabulary.startsWith(SENTENCE_PIECE_HEADER)) return siglipTokenizer(vocabulary, settings)
  if (vocabulary.startsWith(UNIGRAM_HEADER)) return unigramTokenizer(vocabulary, settings)
  return (vocabulary.startsWith("#version") ? clipTokenizer : bertTokenizer)(vocabulary, settings)
}

const narrowed = (dtype: ExportDtype, { shape, data }: HostTensors[string]): TensorData => {
  const values = data as Float32Array
  switch (dtype) {
    case "float32":
      return { dtype: "F32", shape, data: values }
    case "float16":
      return { dtype: "F16", shape, data: toFloat16(values) }
    case "bfloat16":
      return { dtype: "BF16", shape, data: toBfloat16(values) }
  }
}

/** In order, each as full as its limit lets it be; a tensor beyond the limit is alone. */
const shardsOf = (tensors: Tensors, max_bytes: number): ReadonlyArray<Tensors> => {
  const shards: Array<Record<string, TensorData>> = [{}]
  let bytes = 0
  for (const [name, tensor] of Object.entries(tensors)) {
    const { byteLength } = tensor.data
    if (bytes > 0 && bytes + byteLength > max_bytes) {
      shards.push({})
      bytes = 0
    }
    shards.at(-1)![name] = tensor
    bytes += byteLength
  }
  return shards
}

const writeWeights = Effect.fnUntraced(function* (folder: string, tensors: Tensors, max_bytes: number) {
  const shards = shardsOf(tensors, max_bytes)
  const metadata = { format: "pt" }
  if (shards.length === 1) return yield* writeSafetensors(join(folder, "model.safetensors"), tensors, metadata)
  const number = (i: number) => String(i).padStart(5, "0")
  const weight_map: Record<string, string> = {}
  for (const [i, shard] of shards.entries()) {
    const file = `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`
    yield* writeSafetensors(join(folder, file), shard, metadata)
    for (const name of Object.keys(shard)) weight_map[name] = file
  }
  const total_size = Object.values(tensors).reduce((sum, { data }) => sum + data.byteLength, 0)
  const index = json({ metadata: { total_size }, weight_map })
  yield* writeFile(join(folder, "model.safetensors.index.json"), [new TextEncoder().encode(index)])
})

/** Makes the folder, which must not exist. Returns the class of transformers that opens it. */
export const exportHuggingFace = Effect.fnUntraced(function* (
  { model, weights, vocabulary }: ExportedModel,
  folder: string,
  { as, dtype = "float32", max_shard_bytes = 5e9 }: ExportOptions = {}
) {
  const files = yield* Files
  const { contents, tensors, opens } = yield* attemptCheckpoint(folder, () => {
    const tokenizer = tokenizerOf(model, vocabulary)
    const ids = { pad_token_id: tokenizer.pad, start_token_id: tokenizer.start, end_token_id: tokenizer.end }
    const { config, names, class: opens } = toHuggingFace(model, ids, as)
    const stored = Object.entries(names).map(([ours, theirs]): readonly [string, TensorData] => {
      const weight = weights[ours]
      if (weight === undefined) throw new Error(`the weight ${ours} is missing`)
      return [theirs, narrowed(dtype, weight)]
    })
    const written: Contents = {
      "config.json": json({ ...config, dtype }),
      "preprocessor_config.json": json(preprocessorConfig(model)),
      ...tokenizerFiles(vocabulary, model)
    }
    return { contents: written, tensors: Object.fromEntries(stored), opens }
  })
  yield* files.makeFolder(folder)
  for (const [name, content] of Object.entries(contents)) {
    const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content
    yield* writeFile(join(folder, name), [bytes])
  }
  yield* writeWeights(folder, tensors, max_shard_bytes)
  return opens
})
