/**
 * Which rows of a training batch show the same image, by ids made of the images' bytes: a picture that was saved anew is another one.
 *
 *   image   HF struct<bytes, path>   ->   48 bits of the sha256 of its bytes, as two whole numbers below 2^24
 */
import { imagesOf, sha256 } from "@bootlace/data"
import type { Vectors } from "@bootlace/data"
import * as Effect from "effect/Effect"
import type { BadCell, Cell, Cells } from "./TensorColumn.ts"

const imageId = (bytes: Uint8Array): Float32Array => {
  const digest = sha256(bytes)
  return Float32Array.of(Number.parseInt(digest.slice(0, 6), 16), Number.parseInt(digest.slice(6, 12), 16))
}

export const imageIdCells = (vector: Vectors[string]): Cells =>
  imagesOf(vector).map((image) =>
    image === null
      ? Effect.fail<BadCell>({ code: "R202", reason: "no image in this row" })
      : Effect.sync(() => imageId(image.bytes))
  )

/** Different ones among these ids. */
export const countImages = (ids: ReadonlyArray<Cell>): number => new Set(ids.map((id) => String(id))).size
