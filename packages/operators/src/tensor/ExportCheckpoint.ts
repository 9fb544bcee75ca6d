/**
 * Writes a model as a folder that `from_pretrained` of transformers opens: config.json, model.safetensors,
 * preprocessor_config.json and the tokenizer's files. Weights keep every bit.
 */
import { Files, writeFile, writeSafetensors } from "@bootlace/data"
import type { TensorData } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { preprocessorConfig, readVocabulary, toHuggingFace, tokenizerOf, vocabOfMerges } from "@bootlace/models"
import type { HuggingFaceClass, Model } from "@bootlace/models"
import { Effect } from "effect"
import { join } from "node:path"
import { attemptCheckpoint } from "./CheckpointError.ts"

export interface ExportedModel {
  readonly model: Model
  readonly weights: HostTensors
  /** The text of a vocab.txt or merges.txt, as `tokenizerOf` takes it. */
  readonly vocabulary: string
}

type Contents = Readonly<Record<string, string>>

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`

const clipTokenizer = (merges: string, model_max_length: number): Contents => ({
  "merges.txt": ["#version: 0.2", ...merges.split("\n").slice(1)].join("\n"),
  "vocab.json": json(vocabOfMerges(merges)),
  "tokenizer_config.json": json({
    tokenizer_class: "CLIPTokenizer",
    bos_token: "<|startoftext|>",
    eos_token: "<|endoftext|>",
    unk_token: "<|endoftext|>",
    pad_token: "<|endoftext|>",
    model_max_length
  })
})

const bertTokenizer = (vocabulary: string, model_max_length: number): Contents => ({
  "vocab.txt": `${readVocabulary(vocabulary).join("\n")}\n`,
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
    model_max_length
  })
})

/** Makes the folder, which must not exist. `as`: the class of transformers; a BLIP model of one's own fits several. */
export const exportHuggingFace = Effect.fnUntraced(function* (
  { model, weights, vocabulary }: ExportedModel,
  folder: string,
  as?: HuggingFaceClass
) {
  const files = yield* Files
  const { contents, tensors } = yield* attemptCheckpoint(folder, () => {
    const tokenizer = tokenizerOf(model, vocabulary)
    const ids = { pad_token_id: tokenizer.pad, start_token_id: tokenizer.start }
    const { config, names } = toHuggingFace(model, ids, as)
    const stored = Object.entries(names).map(([ours, theirs]): readonly [string, TensorData] => {
      const weight = weights[ours]
      if (weight === undefined) throw new Error(`the weight ${ours} is missing`)
      return [theirs, { dtype: "F32", shape: weight.shape, data: weight.data }]
    })
    const text = vocabulary.startsWith("#version") ? clipTokenizer : bertTokenizer
    const written: Contents = {
      "config.json": json(config),
      "preprocessor_config.json": json(preprocessorConfig(model)),
      ...text(vocabulary, model.max_text_length)
    }
    return { contents: written, tensors: Object.fromEntries(stored) }
  })
  yield* files.makeFolder(folder)
  for (const [name, text] of Object.entries(contents))
    yield* writeFile(join(folder, name), [new TextEncoder().encode(text)])
  yield* writeSafetensors(join(folder, "model.safetensors"), tensors, { format: "pt" })
})
