/** RerankedRecall at work: rows first, then images as they come, each scored against its candidates. */
import { rowIdHex } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { ArtifactWriter, Batch, Files, Fold, FoldBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { collectRows } from "../CollectedRows.ts"
import { embeddedPairs } from "../metrics/EmbeddedPairs.ts"
import { noRows, writeMetrics } from "../metrics/MetricsArtifact.ts"
import { retrievalMetrics } from "../metrics/RetrievalMetrics.ts"
import { scoresAgainst } from "../metrics/Similarity.ts"
import { pairAt } from "../rerank/Candidates.ts"
import { rankingOf, scoreImages } from "../rerank/ScorePairs.ts"
import type { Ranking, Reranker } from "../rerank/ScorePairs.ts"
import type { Config } from "../RerankedRecall.ts"
import { onRows, textsIn } from "../RowValues.ts"
import type { LoadedModels } from "../tensor/LoadedModels.ts"
import { openModel } from "../tensor/OpenModel.ts"
import { decodeTensors, encodeTensors } from "../tensor/TensorFile.ts"

const finish = Effect.fnUntraced(function* (node: string, writer: ArtifactWriter, ranking: Ranking) {
  const { all, candidates, logits } = ranking
  const { rows, images, texts } = all
  const missing = logits.findIndex(Number.isNaN)
  if (missing >= 0) {
    const image = candidates.starts.findLastIndex((start) => start <= missing)
    return yield* new NodeError({
      code: "R221",
      node,
      detail: `no image came for row ${rowIdHex(all.ids, image)}, or ITM's logit of one of its pairs is not a number`,
      hint: "wire `image` from the rows that image_embeds are made of"
    })
  }
  const width = images.length / rows
  const cosine = (image: number, text: number): number =>
    scoresAgainst(images, texts.subarray(text * width, (text + 1) * width), 1, image)[0]!
  const scores = (chosen: Int32Array, query: number, pairOf: (answer: number) => readonly [number, number]) => {
    const found = new Float64Array(rows).fill(Number.NEGATIVE_INFINITY)
    for (const answer of chosen.subarray(query * candidates.k, (query + 1) * candidates.k)) {
      const [image, text] = pairOf(answer)
      found[answer] = cosine(image, text) + logits[pairAt(candidates, image, text)]!
    }
    return found
  }
  const { metrics, examples } = yield* retrievalMetrics(
    all,
    (image) => scores(candidates.texts, image, (text) => [image, text]),
    (text) => scores(candidates.images, text, (image) => [image, text])
  )
  return yield* writeMetrics(node, writer, { ...metrics, k_test: candidates.k }, examples)
})

const logitsFile = "logits.safetensors"

const reranking = (at: Reranker, writer: ArtifactWriter): Fold<never> => {
  const { node } = at
  const rows = collectRows()
  let ranking: Ranking | undefined
  const ranked = Effect.suspend(() => {
    const all = rows.all()
    if (all === undefined) return Effect.fail(noRows(node))
    return ranking === undefined
      ? Effect.tap(rankingOf(at, all), (made) => Effect.sync(() => (ranking = made)))
      : Effect.succeed(ranking)
  })
  const add = (batch: Batch): void => {
    embeddedPairs(node, batch)
    textsIn(node, batch, "text")
    rows.add(batch)
  }
  return {
    step: (port, batch) =>
      port === "rows" ? onRows(node, () => add(batch)) : Effect.flatMap(ranked, (made) => scoreImages(at, made, batch)),
    snapshot: onRows(node, (): Files => {
      const logits = ranking?.logits
      const stored = logits && {
        [logitsFile]: encodeTensors({ logits: { dtype: "float32", shape: [logits.length], data: logits } })
      }
      return { ...rows.snapshot(), ...stored }
    }),
    restore: Effect.fnUntraced(function* (files) {
      yield* onRows(node, () => rows.restore(files))
      const stored = files[logitsFile]
      if (stored === undefined) return
      const { logits } = yield* ranked
      yield* onRows(node, () => logits.set(decodeTensors(stored, logitsFile)["logits"]!.data))
    }),
    finish: Effect.flatMap(ranked, (made) => finish(node, writer, made))
  }
}

export const open: FoldBody<Config, LoadedModels>["open"] = Effect.fnUntraced(function* ({
  node,
  config,
  artifacts,
  writer
}) {
  const runnable = yield* openModel(node, artifacts["model"], { name: "RerankedRecall", model: ["blip"] })
  return reranking({ node, config, runnable }, writer)
})
