/**
 * A folder of CLIP's or BLIP's weights as Hugging Face's transformers or open_clip leave it.
 *
 *   config.json + model.safetensors, or model.safetensors.index.json and its shards        transformers
 *   open_clip_config.json + open_clip_model.safetensors                                    open_clip
 *
 * Weights are read tensor by tensor into one buffer, so the peak is little more than the weights in float32. Pickled files (.bin, .pt) run code when they are opened and are never read.
 */
import { defaultLimits, Files, hashFile, keyOf, openSafetensors, parseJson } from "@bootlace/data"
import type { DataError, Limits, Safetensors } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { planHuggingFace, planOpenClip } from "@bootlace/models"
import type { CheckpointPlan, Model, Tokenizer, WeightSource } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { attemptCheckpoint, CheckpointError } from "./CheckpointError.ts"
import { readTokenizer, tokenizerFiles } from "./CheckpointTokenizer.ts"
import type { CheckpointFormat } from "./CheckpointTokenizer.ts"
import { openTensorFile } from "./TensorFile.ts"

export interface CheckpointFolder {
  readonly format: CheckpointFormat
  readonly model: Model
  readonly weights: HostTensors
  /** The same memory as a safetensors file of ours. */
  readonly file: Uint8Array<ArrayBuffer>
  /** Undefined where the folder has no tokenizer files. */
  readonly tokenizer: Tokenizer | undefined
  /** What `tokenizerOf` makes the same tokenizer of; undefined where no such text says it. */
  readonly vocabulary: string | undefined
  /** Weights of heads that the checkpoint's class doesn't have; they hold initial values. */
  readonly missing: ReadonlyArray<string>
}

const readJson = Effect.fnUntraced(function* (folder: string, name: string, limits: Limits) {
  const files = yield* Files
  const bytes = yield* files.read(join(folder, name))
  return yield* attemptCheckpoint(folder, () => parseJson(bytes, limits, { file: name }))
})

const PICKLED = /\.(bin|pt|pth|ckpt|pkl)$/

const noWeights = (folder: string, names: ReadonlyArray<string>): CheckpointError => {
  const pickled = names.find((name) => PICKLED.test(name))
  return pickled === undefined
    ? new CheckpointError({
        folder,
        detail: "expected model.safetensors, its .index.json, or open_clip_model.safetensors"
      })
    : new CheckpointError({
        folder,
        detail: `${pickled} is a pickle, which can run any code when it is opened; it isn't read`,
        hint: "convert it with safetensors' convert.py, or save the model again with safe_serialization=True"
      })
}

/** Tensor names to the open file that holds each. */
type Shards = ReadonlyMap<string, Safetensors>

/** Tensor names to the files that an index puts them into, all in the folder itself. */
const readIndex = Effect.fnUntraced(function* (folder: string, index: string, limits: Limits) {
  const parsed = yield* readJson(folder, index, limits)
  const map = (parsed as { readonly weight_map?: unknown } | null)?.weight_map
  if (typeof map !== "object" || map === null) {
    return yield* new CheckpointError({ folder, detail: `${index} has no weight_map` })
  }
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || /[/\\]/.test(file) || !file.endsWith(".safetensors")) {
      return yield* new CheckpointError({ folder, detail: `${index} puts ${tensor} into ${JSON.stringify(file)}` })
    }
  }
  return map as Readonly<Record<string, string>>
})

const openIndexed = Effect.fnUntraced(function* (folder: string, index: string, limits: Limits) {
  const map = yield* readIndex(folder, index, limits)
  const shards = new Map<string, Safetensors>()
  const opened = new Map<string, Safetensors>()
  for (const [tensor, file] of Object.entries(map)) {
    const shard = opened.get(file) ?? (yield* openSafetensors(join(folder, file), limits))
    opened.set(file, shard)
    if (!shard.tensors.has(tensor)) {
      return yield* new CheckpointError({
        folder,
        detail: `${file} has no tensor ${tensor}, which ${index} puts there`
      })
    }
    shards.set(tensor, shard)
  }
  return shards as Shards
})

const openShards = Effect.fnUntraced(function* (
  folder: string,
  names: ReadonlyArray<string>,
  single: string,
  limits: Limits
) {
  if (names.includes(single)) {
    const file = yield* openSafetensors(join(folder, single), limits)
    return new Map([...file.tensors.keys()].map((name) => [name, file])) as Shards
  }
  const index = `${single}.index.json`
  return names.includes(index) ? yield* openIndexed(folder, index, limits) : yield* noWeights(folder, names)
})

/** The files that openShards reads. */
const weightFiles = Effect.fnUntraced(function* (
  folder: string,
  names: ReadonlyArray<string>,
  single: string,
  limits: Limits
) {
  const index = `${single}.index.json`
  if (names.includes(single)) return [single]
  if (!names.includes(index)) return yield* noWeights(folder, names)
  return [index, ...new Set(Object.values(yield* readIndex(folder, index, limits)))]
})

/** [rows, columns] to [columns, rows]. */
const transpose = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c]!
  return out
}

const sourceShape = (shape: ReadonlyArray<number>, { rows, transposed }: WeightSource): ReadonlyArray<number> => {
  const cut = rows === undefined ? shape : [rows[1] - rows[0], ...shape.slice(1)]
  return transposed === true ? cut.toReversed() : cut
}

const readWeight = Effect.fnUntraced(function* (
  folder: string,
  name: string,
  wanted: ReadonlyArray<number>,
  source: WeightSource,
  shards: Shards
) {
  const shard = shards.get(source.tensor)!
  const { shape: stored } = shard.tensors.get(source.tensor)!
  const shape = sourceShape(stored, source)
  if (shape.join() !== wanted.join()) {
    return yield* new CheckpointError({
      folder,
      detail: `the config makes ${name} [${wanted.join()}], but ${source.tensor} is [${stored.join()}]`
    })
  }
  const data = yield* shard.float32(source.tensor, source.rows)
  return source.transposed === true ? transpose(data, stored[0]!, stored[1]!) : data
})

const readWeights = Effect.fnUntraced(function* (
  folder: string,
  { model, sources, missing }: CheckpointPlan,
  shards: Shards
) {
  const { file, tensors } = openTensorFile(model.shapes)
  for (const [name, shape] of Object.entries(model.shapes)) {
    const source = sources[name]
    if (source !== undefined) tensors[name]!.data.set(yield* readWeight(folder, name, shape, source, shards))
  }
  for (const [name, data] of Object.entries(model.init(0, missing))) tensors[name]!.data.set(data)
  return { file, weights: tensors }
})

const formats = {
  transformers: { config: "config.json", weights: "model.safetensors", plan: planHuggingFace },
  open_clip: { config: "open_clip_config.json", weights: "open_clip_model.safetensors", plan: planOpenClip }
} as const

/** A repository may hold both; then transformers' files are read. */
const formatOf = (names: ReadonlyArray<string>): CheckpointFormat | undefined =>
  names.includes("config.json") ? "transformers" : names.includes("open_clip_config.json") ? "open_clip" : undefined

const readFormat = Effect.fnUntraced(function* (folder: string, names: ReadonlyArray<string>) {
  const format = formatOf(names)
  if (format !== undefined) return format
  return yield* new CheckpointError({ folder, detail: "expected config.json or open_clip_config.json" })
})

/**
 * sha256 over the files that readCheckpointFolder would read, never over the folder's path. They are read once, in parts; what
 * else lies in the folder makes no difference.
 */
export const checkpointContent = Effect.fnUntraced(function* (folder: string, limits: Limits = defaultLimits) {
  const files = yield* Files
  const names = yield* files.list(folder)
  const format = yield* readFormat(folder, names)
  const { config, weights } = formats[format]
  const settings = ["preprocessor_config.json", ...tokenizerFiles(names)].filter((name) => names.includes(name))
  const read = [config, ...settings, ...(yield* weightFiles(folder, names, weights, limits))].toSorted()
  const hashes = yield* Effect.forEach(read, (name) => hashFile(join(folder, name)))
  return keyOf(read.map((name, i) => [name, hashes[i]]))
})

/** Reads config, weights, tokenizer and image settings. Nothing outside the folder is touched. */
export const readCheckpointFolder = (
  folder: string,
  limits: Limits = defaultLimits
): Effect.Effect<CheckpointFolder, CheckpointError | DataError, Files> =>
  Effect.scoped(
    Effect.gen(function* () {
      const files = yield* Files
      const names = yield* files.list(folder)
      const format = yield* readFormat(folder, names)
      const { config: configFile, weights: weightsFile, plan: planOf } = formats[format]
      const config = yield* readJson(folder, configFile, limits)
      const shards = yield* openShards(folder, names, weightsFile, limits)
      const settings = names.includes("preprocessor_config.json")
        ? yield* readJson(folder, "preprocessor_config.json", limits)
        : undefined
      const plan = yield* attemptCheckpoint(folder, () => planOf(config, shards.keys(), settings))
      const { weights, file } = yield* readWeights(folder, plan, shards)
      const text = yield* readTokenizer(folder, names, format, limits)
      return {
        format,
        model: plan.model,
        weights,
        file,
        tokenizer: text?.tokenizer,
        vocabulary: text?.vocabulary,
        missing: plan.missing
      }
    })
  )
