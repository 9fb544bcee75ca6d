/**
 * ITM's logits of candidate pairs, as their images come by.
 *
 *   B pairs of a micro-batch   N image tokens   D their width   P pairs in all
 *
 * An image's tokens are computed once and live for one micro-batch of images. Its pairs run by themselves, their keys and values made once
 * for all texts of a call, so that a logit doesn't depend on which images came together.
 */
import { rowIdHex, rowIdsOf } from "@bootlace/data"
import { NodeError, spanned } from "@bootlace/graph"
import type { Batch, Columns } from "@bootlace/graph"
import type { HostTensors } from "@bootlace/engine"
import type { BlipModel } from "@bootlace/models"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { embeddedPairs } from "../metrics/EmbeddedPairs.ts"
import type { EmbeddedPairs } from "../metrics/EmbeddedPairs.ts"
import { onRows, textsIn } from "../RowValues.ts"
import { engineFailure } from "../tensor/EngineFailure.ts"
import { withFirstToken } from "../tensor/FirstToken.ts"
import type { RunnableModel } from "../tensor/LoadedModels.ts"
import { prepareRows, runMicroBatches } from "../tensor/MicroBatch.ts"
import type { MicroBatches, PreparedRow } from "../tensor/MicroBatch.ts"
import { candidatesOf } from "./Candidates.ts"
import type { Candidates } from "./Candidates.ts"

/** What is known once all rows are there. */
export interface Ranking {
  readonly all: EmbeddedPairs
  readonly texts: ReadonlyArray<Int32Array>
  readonly candidates: Candidates
  /** The number of the row with this id. */
  readonly rowOf: ReadonlyMap<string, number>
  /** [P]: ITM's logit of each pair, NaN until its image has come. */
  readonly logits: Float32Array
}

export interface Reranker {
  readonly node: string
  readonly config: { readonly k_test: number; readonly batch_size: number }
  /** Its model is a BLIP. */
  readonly runnable: RunnableModel
}

export const rankingOf = Effect.fnUntraced(function* ({ node, config, runnable }: Reranker, rows: Batch) {
  const { tokenizer, model } = runnable.opened!
  const all = yield* onRows(node, () => embeddedPairs(node, rows))
  const texts = yield* onRows(node, () =>
    textsIn(node, rows, "text").map((text) => tokenizer.encode(text, model.max_text_length))
  )
  const candidates = yield* candidatesOf(all, config.k_test)
  const rowOf = new Map(Array.from({ length: all.rows }, (_, row) => [rowIdHex(all.ids, row), row]))
  return { all, texts, candidates, rowOf, logits: new Float32Array(candidates.partners.length).fill(NaN) } as Ranking
})

/** The two programs: images to tokens, and tokens with texts to logits. */
const programsOf = ({ node, runnable: { opened, loaded, program } }: Reranker) => {
  const model = opened!.model as BlipModel
  const { enc } = opened!.tokenizer
  const weights = Object.keys(model.shapes)
  const encode = program("RerankedRecall encode", () => ({
    name: "RerankedRecall encode",
    weights,
    run: (all, { image }) => ({ image_tokens: model.encodeImage(all, image!).image_tokens })
  }))
  const match = program("RerankedRecall match", () => ({
    name: "RerankedRecall match",
    weights,
    run: (all, { image_tokens, "text.input_ids": input_ids, "text.attention_mask": attention_mask }) => {
      const text = withFirstToken({ input_ids: input_ids!, attention_mask: attention_mask! }, enc)
      const logits_B2 = model.matchLogits(all, image_tokens!, text)
      return { match_logit: tf.reshape(tf.slice(logits_B2, [0, 1], [-1, 1]), [-1]) }
    }
  }))
  const run = (made: typeof encode) => (inputs: HostTensors) =>
    spanned(node, "compute", made.name, loaded.run(made, inputs).pipe(Effect.mapError(engineFailure(node))))
  return { encode: run(encode), match: run(match) }
}

/** One output of a program over rows, as a flat array. */
const outputOf = Effect.fnUntraced(function* (
  { config: { batch_size }, runnable }: Reranker,
  rows: ReadonlyArray<PreparedRow>,
  inputs: Columns,
  run: MicroBatches["run"],
  name: string
) {
  const at = { rows, inputs, model: runnable.opened, batch_size, sharesImages: true }
  const outputs = yield* runMicroBatches({ ...at, run })
  return (outputs[name] as { readonly data: Float32Array }).data
})

/** Fills in the logits of the pairs of these images, image by image: they don't depend on who else is in the batch. */
export const scoreImages = Effect.fnUntraced(function* (at: Reranker, ranking: Ranking, batch: Batch) {
  const { node, runnable, config } = at
  const { candidates, rowOf, texts, logits } = ranking
  const { rows, rejected } = yield* prepareRows(node, batch, { image: "image" }, runnable.opened)
  const ids = rowIdsOf(batch)
  const lost = rejected.find(({ row }) => rowOf.has(rowIdHex(ids, row)))
  if (lost !== undefined) {
    const detail = `image of row ${rowIdHex(ids, lost.row)}: ${lost.reason}`
    return yield* new NodeError({ code: "R221", node, row: lost.row, detail })
  }
  const programs = programsOf(at)
  const known = rows.filter(({ id }) => rowOf.has(id))
  for (let first = 0; first < known.length; first += config.batch_size) {
    const some = known.slice(first, first + config.batch_size)
    const tokens = yield* outputOf(at, some, { image: "image" }, programs.encode, "image_tokens")
    const width = tokens.length / some.length
    for (const [i, { id }] of some.entries()) {
      const image = rowOf.get(id)!
      const [start, end] = [candidates.starts[image]!, candidates.starts[image + 1]!]
      const image_tokens = tokens.subarray(i * width, (i + 1) * width)
      const pairs = Array.from(candidates.partners.subarray(start, end), (text) => ({
        row: text,
        id,
        cells: { image_tokens, text: texts[text]! }
      }))
      const inputs = { image_tokens: "image_tokens", text: "text" } as const
      logits.set(yield* outputOf(at, pairs, inputs, programs.match, "match_logit"), start)
    }
  }
})
