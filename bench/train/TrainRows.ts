/**
 * Rows to train on: random pixels, and texts of random tokens whose lengths are random too, or those of the emoji captions
 * (docs/emoji.md) in pieces of a vocabulary trained on them.
 *
 * With real lengths a window of eight steps is timed. Ours takes its batches as `group_by_length` does and pads each to the next
 * bucket; the peers take the same rows in their order, padded to the longest of a batch or to the model's full length.
 */
import { createRequire } from "node:module"
import { countWords, randomKey, tokenizerOf, trainWordPiece } from "@bootlace/models"
import type { HostTensor, HostTensors } from "@bootlace/engine"
import { lengthGroups, window } from "../../packages/operators/src/tensor/LengthGroups.ts"
import { bucketOf } from "../../packages/operators/src/tensor/TensorColumn.ts"
import { concepts } from "../../pipelines/emoji/Concepts.ts"
import type { Named, Pictured } from "../../pipelines/emoji/Concepts.ts"
import type { BatchRows, TextRows, TrainRows } from "./TrainFolder.ts"
import { queue_size, trainModels } from "./TrainModel.ts"
import type { TrainModel } from "./TrainModel.ts"

/** Numbers in [0, 1): a Lehmer generator. */
function numbers(state = 1): () => number {
  return () => (state = (state * 48271) % 2147483647) / 2147483647
}

const range = (start: number, count: number) => Array.from({ length: count }, (_, i) => start + i)

function* pixelRows(count: number, image_size: number): Generator<Float32Array> {
  const next = numbers(7)
  for (let row = 0; row < count; row++) yield new Float32Array(3 * image_size ** 2).map(() => 2 * next() - 1)
}

/** Texts of these many tokens, the first and the last included, then padding. */
function textRows({ tokens, ids, model }: TrainModel, lengths: ReadonlyArray<number>): TextRows {
  const next = numbers(11)
  const shape = [lengths.length, tokens]
  const [input_ids, attention_mask] = [new Int32Array(lengths.length * tokens), new Int32Array(lengths.length * tokens)]
  // Ids below the first thousand, or of a small vocabulary the first few, are special tokens.
  const first = Math.min(1000, model.vocab_size >> 4)
  const drawn = model.vocab_size - 2 * first
  lengths.forEach((length, row) => {
    for (let at = 0; at < length; at++) {
      input_ids[row * tokens + at] =
        at === 0 ? ids.cls : at === length - 1 ? ids.sep : first + Math.floor(next() * drawn)
      attention_mask[row * tokens + at] = 1
    }
  })
  const tensor = (data: Int32Array): HostTensor => ({ shape, dtype: "int32", data })
  return { input_ids: tensor(input_ids), attention_mask: tensor(attention_mask) }
}

/** Random unit rows in BLIP's queues. */
export function queues({ model, program }: TrainModel): HostTensors {
  const next = numbers(5)
  const queue = (): HostTensor => ({
    shape: [queue_size, model.embed_dim],
    dtype: "float32",
    data: new Float32Array(queue_size * model.embed_dim).map(() => (2 * next() - 1) * Math.sqrt(3 / model.embed_dim))
  })
  return Object.fromEntries(Object.keys(program.state).map((name) => [name, queue()]))
}

/** One batch again and again, every text padded to the model's length; or, for gradient caching, micro-batches of one. */
export function plainRows(made: TrainModel, batch_size = made.batch_size): TrainRows {
  const next = numbers(3)
  const lengths = range(0, batch_size).map(() => 6 + Math.floor(next() * (made.tokens - 7)))
  const batches = range(0, batch_size / made.batch_size).map((step) => ({
    rows: range(step * made.batch_size, made.batch_size),
    tokens: made.tokens
  }))
  return {
    texts: textRows(made, lengths),
    pixels: pixelRows(batch_size, made.model.preprocess.image_size),
    batches: { same: batches }
  }
}

const emojiCaptions = (): ReadonlyArray<string> => {
  const require = createRequire(import.meta.url)
  const pictured = require("emoji-datasource-google/emoji.json") as ReadonlyArray<Pictured>
  const named = require("emojibase-data/en/data.json") as ReadonlyArray<Named>
  return concepts(pictured, named).flatMap(({ drawings }) => drawings.map(({ name }) => name))
}

/** Tokens of each caption, the first and the last included. */
function captionLengths(tokens: number): ReadonlyArray<number> {
  const captions = emojiCaptions()
  const counts = new Map<string, number>()
  for (const caption of captions) countWords(counts, caption)
  const vocabulary = trainWordPiece(counts, { vocab_size: 4096 }).join("\n")
  const tokenizer = tokenizerOf(trainModels["blip-tiny"]().model, vocabulary)
  return captions.map((caption) => tokenizer.encode(caption, tokens).length)
}

export function realRows(made: TrainModel): TrainRows {
  const { batch_size: B, tokens } = made
  const all = captionLengths(tokens)
  const next = numbers(13)
  const lengths = range(0, window * B).map(() => all[Math.floor(next() * all.length)]!)
  const longest = (rows: ReadonlyArray<number>) => Math.max(...rows.map((row) => lengths[row]!))
  const inOrder = range(0, window).map((step) => range(step * B, B))
  const same = lengthGroups(lengths, B, randomKey(1, "groups")).map((group): BatchRows => {
    const rows = Array.from(group)
    return { rows, tokens: bucketOf(longest(rows), tokens) }
  })
  return {
    texts: textRows(made, lengths),
    pixels: pixelRows(window * B, made.model.preprocess.image_size),
    batches: {
      same,
      longest: inOrder.map((rows) => ({ rows, tokens: longest(rows) })),
      fixed: inOrder.map((rows) => ({ rows, tokens }))
    }
  }
}
