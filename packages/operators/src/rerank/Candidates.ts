/**
 * The pairs that are worth a closer look: every image with the k texts nearest to it, and every text with its k images.
 *
 *   E embedding size   k candidates of a query   P pairs, at most 2 rows k: a pair that both sides chose is there once
 */
import * as Effect from "effect/Effect"
import type { EmbeddedPairs } from "../metrics/EmbeddedPairs.ts"
import { nearest, scoresAgainst } from "../metrics/Similarity.ts"

export interface Candidates {
  readonly k: number
  /** [rows, k]: rows of the texts nearest to each image, and of the images nearest to each text. */
  readonly texts: Int32Array
  readonly images: Int32Array
  /** [rows + 1]: where each image's pairs start and end among all. */
  readonly starts: Int32Array
  /** [P]: the row of each pair's text, ascending within an image. */
  readonly partners: Int32Array
}

const nearestRows = Effect.fnUntraced(function* (
  queries: Float32Array,
  answers: Float32Array,
  rows: number,
  k: number
) {
  const found = new Int32Array(rows * k)
  for (let query = 0; query < rows; query++) {
    found.set(nearest(scoresAgainst(queries, answers, rows, query), k), query * k)
    if (query % 64 === 63) yield* Effect.yieldNow
  }
  return found
})

/** Pairs by image, each image's texts sorted and without repeats. */
const pairsByImage = (rows: number, k: number, texts: Int32Array, images: Int32Array) => {
  const counts = new Int32Array(rows + 1)
  for (let image = 0; image < rows; image++) counts[image + 1] = k
  for (const image of images) counts[image + 1]! += 1
  for (let image = 0; image < rows; image++) counts[image + 1]! += counts[image]!
  const all = new Int32Array(counts[rows]!)
  const next = counts.slice(0, rows)
  texts.forEach((text, i) => (all[next[Math.floor(i / k)]!++] = text))
  images.forEach((image, i) => (all[next[image]!++] = Math.floor(i / k)))
  const starts = new Int32Array(rows + 1)
  let kept = 0
  for (let image = 0; image < rows; image++) {
    for (const text of all.slice(counts[image], counts[image + 1]).sort()) {
      if (kept > starts[image]! && all[kept - 1] === text) continue
      all[kept++] = text
    }
    starts[image + 1] = kept
  }
  return { starts, partners: all.slice(0, kept) }
}

export const candidatesOf = Effect.fnUntraced(function* (all: EmbeddedPairs, k_test: number) {
  const { rows } = all
  const k = Math.min(k_test, rows)
  const texts = yield* nearestRows(all.images, all.texts, rows, k)
  const images = yield* nearestRows(all.texts, all.images, rows, k)
  return { k, texts, images, ...pairsByImage(rows, k, texts, images) } satisfies Candidates
})

/** The place of a pair among all. The text must be among the image's. */
export const pairAt = ({ starts, partners }: Candidates, image: number, text: number): number => {
  let low = starts[image]!
  let high = starts[image + 1]! - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if (partners[middle]! < text) low = middle + 1
    else high = middle
  }
  return low
}
