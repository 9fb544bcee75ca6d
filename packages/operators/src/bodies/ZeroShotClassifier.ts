/** ZeroShotClassifier at work: one run of the text tower over all prompts, then each image against the classes. */
import { columnOf, floatsOf, rowIdHex, rowIdsOf } from "@bootlace/data"
import { NodeError, spanned } from "@bootlace/graph"
import type { Artifact, Batch, FoldBody } from "@bootlace/graph"
import { l2Normalize } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { measuredRows } from "../metrics/MeasuredRows.ts"
import { nearest, scoresAgainst, unitRows } from "../metrics/Similarity.ts"
import { onRows, textsIn } from "../RowValues.ts"
import published from "../templates/clip.json" with { type: "json" }
import { engineFailure } from "../tensor/EngineFailure.ts"
import { LoadedModels } from "../tensor/LoadedModels.ts"
import type { RunnableModel } from "../tensor/LoadedModels.ts"
import { runMicroBatches } from "../tensor/MicroBatch.ts"
import type { Config } from "../ZeroShotClassifier.ts"

/** CLIP's prompts for ImageNet: all eighty, and the seven that its authors found to do nearly as well together. */
const ensembles = { clip_7: published.clip_7, clip_80: published.clip_80 } as const

/** Rows that go into examples.jsonl. */
const numExamples = 48

/** Unit embeddings of texts, [texts, E]. */
const embedTexts = Effect.fnUntraced(function* (
  node: string,
  { opened, loaded, program }: RunnableModel,
  texts: ReadonlyArray<string>,
  batch_size: number
) {
  const { model, tokenizer } = opened!
  const encode = program("ZeroShotClassifier", () => ({
    name: "ZeroShotClassifier",
    weights: Object.keys(model.shapes),
    run: (weights, { "text.input_ids": input_ids, "text.attention_mask": attention_mask }) => ({
      text_embeds: l2Normalize(model.encodeText(weights, { input_ids: input_ids!, attention_mask: attention_mask! }))
    })
  }))
  const rows = texts.map((text, row) => ({
    row,
    id: text,
    cells: { text: tokenizer.encode(text, model.max_text_length) }
  }))
  const outputs = yield* runMicroBatches({
    rows,
    inputs: { text: "text" },
    model: opened,
    batch_size,
    run: (inputs) =>
      spanned(node, "compute", encode.name, loaded.run(encode, inputs).pipe(Effect.mapError(engineFailure(node))))
  })
  const embeds = outputs["text_embeds"]!
  return "data" in embeds ? (embeds.data as Float32Array) : new Float32Array()
})

/** [classes, E]: every class the unit mean of its `per_class` rows. */
const classWeights = (prompts: Float32Array, per_class: number, width: number): Float32Array => {
  const means = new Float32Array(prompts.length / per_class)
  prompts.forEach((value, i) => {
    const row = Math.floor(i / (width * per_class))
    means[row * width + (i % width)]! += value / per_class
  })
  return unitRows(means, width)
}

const imagesIn = (node: string, batch: Batch, width: number): Float32Array => {
  const values = floatsOf(columnOf(batch, "image_embeds"))
  const got = values.length / batch.numRows
  if (got === width) return unitRows(values, width)
  const detail = `image_embeds have ${got} values a row, the model's texts have ${width}`
  throw new NodeError({ code: "R225", node, detail, hint: "wire embeddings of an ImageEncoder with the same model" })
}

const classify = Effect.fnUntraced(function* (node: string, config: Config, runnable: RunnableModel, batch: Batch) {
  const { batch_size } = config
  const templates = typeof config.templates === "string" ? ensembles[config.templates] : config.templates
  const width = runnable.opened!.model.embed_dim
  const truth = yield* onRows(node, () => textsIn(node, batch, "class_name"))
  const images = yield* onRows(node, () => imagesIn(node, batch, width))
  const classes = [...new Set(truth)].toSorted((a, b) => (a < b ? -1 : 1))
  const prompts = classes.flatMap((label) => templates.map((template) => template.replaceAll("{label}", label)))
  const embeds = yield* embedTexts(node, runnable, prompts, batch_size)
  const weights = classWeights(embeds, templates.length, width)
  const ids = rowIdsOf(batch)
  const right = { top1: 0, top5: 0 }
  const examples: Array<object> = []
  for (let row = 0; row < batch.numRows; row++) {
    const scores = scoresAgainst(images, weights, classes.length, row)
    const best = nearest(scores, 5)
    const rank = best.findIndex((index) => classes[index] === truth[row])
    right.top1 += rank === 0 ? 1 : 0
    right.top5 += rank >= 0 ? 1 : 0
    if (examples.length < numExamples) {
      const predicted = best.map((index) => ({ class_name: classes[index], score: scores[index] }))
      examples.push({ row_id: rowIdHex(ids, row), class_name: truth[row], predicted })
    }
    // A long evaluation must not hold up progress, signals or other nodes.
    if (row % 256 === 255) yield* Effect.yieldNow
  }
  const metrics = {
    top1: right.top1 / batch.numRows,
    top5: right.top5 / batch.numRows,
    num_classes: classes.length,
    chance: 1 / classes.length,
    rows: batch.numRows
  }
  return { metrics, examples }
})

const openModel = Effect.fnUntraced(function* (node: string, artifact: Artifact | undefined) {
  if (artifact !== undefined) return yield* (yield* LoadedModels).use(node, artifact)
  return yield* new NodeError({ code: "R208", node, detail: "ZeroShotClassifier needs a model; none is wired" })
})

export const open: FoldBody<Config, LoadedModels>["open"] = Effect.fnUntraced(function* ({
  node,
  config,
  artifacts,
  writer
}) {
  const runnable = yield* openModel(node, artifacts["model"])
  return measuredRows({ node, writer, measure: (rows) => classify(node, config, runnable, rows) })
})
