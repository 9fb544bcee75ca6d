/**
 * The row rule at the door: every pair that comes in is kept, or rejected with its reason; none is lost and none stops the run.
 *
 *   (image, text) candidates   ->   row_id, image, text (and further columns) of the rows kept + one reason per row rejected
 */
import * as Effect from "effect/Effect"
import type { RecordBatch } from "apache-arrow"
import { appendColumns, columnsOf, makeBatch, takeRows } from "./Batches.ts"
import { rowIdVector } from "./Columns.ts"
import type { EncodedImage } from "./Columns.ts"
import { DataError } from "./DataError.ts"
import { checkImage, decodeImage } from "./Image.ts"
import { overLimit } from "./limits.ts"
import type { Limits, Where } from "./limits.ts"
import { columnOf, imagesOf, textsOf } from "./Rows.ts"
import { sourceRowIds } from "./RowId.ts"

export interface RejectedRow {
  /** Index in the shard. */
  readonly row: number
  readonly code: string
  readonly reason: string
}

export interface PairBatch {
  readonly batch: RecordBatch
  readonly rejected: ReadonlyArray<RejectedRow>
}

export interface RowChecks {
  readonly limits: Limits
  /** "decode" (default) decodes every image once, so that no damaged one is met later; "header" only looks at its start. */
  readonly images: "decode" | "header"
}

const checkText = (text: string | null, limits: Limits, where: Where): DataError | undefined => {
  if (text === null || text.trim() === "")
    return new DataError({ code: "EmptyText", ...where, detail: "no words in it" })
  return overLimit(limits, "text_bytes", Buffer.byteLength(text), where)
}

const checkPixels = (image: EncodedImage, checks: RowChecks, where: Where): Effect.Effect<unknown, DataError> =>
  checks.images === "decode"
    ? decodeImage(image.bytes, { limits: checks.limits, where })
    : Effect.try({ try: () => checkImage(image.bytes, checks.limits, where), catch: (error) => error as DataError })

const checkRow = (
  image: EncodedImage | null,
  text: string | null,
  checks: RowChecks,
  where: Where
): Effect.Effect<DataError | undefined> => {
  const bad = checkText(text, checks.limits, where)
  if (bad !== undefined) return Effect.succeed(bad)
  if (image === null) return Effect.succeed(new DataError({ code: "BadImage", ...where, detail: "no image bytes" }))
  return Effect.match(checkPixels(image, checks, where), { onFailure: (error) => error, onSuccess: () => undefined })
}

/**
 * Checks candidates with columns `image` and `text`; the first of them is row `start` of the shard. `problems` holds what went
 * wrong before, by row of the batch.
 */
export const checkPairs = Effect.fnUntraced(function* (
  candidates: RecordBatch,
  place: { readonly file: string; readonly key: string; readonly start: number },
  checks: RowChecks,
  problems: ReadonlyMap<number, DataError> = new Map()
) {
  const images = imagesOf(columnOf(candidates, "image"))
  const texts = textsOf(columnOf(candidates, "text"))
  const errors = yield* Effect.forEach(
    images,
    (image, i) => {
      const known = problems.get(i)
      if (known !== undefined) return Effect.succeed(known)
      return checkRow(image, texts[i]!, checks, { file: place.file, row: place.start + i })
    },
    { concurrency: 4 }
  )
  const kept = Int32Array.from(errors.flatMap((error, i) => (error === undefined ? [i] : [])))
  const ids = makeBatch({ row_id: rowIdVector(sourceRowIds(place.key, place.start, candidates.numRows)) })
  const rejected = errors.flatMap((error, i): ReadonlyArray<RejectedRow> =>
    error === undefined ? [] : [{ row: place.start + i, code: error.code, reason: error.reason }]
  )
  const batch: PairBatch = { batch: takeRows(appendColumns(ids, columnsOf(candidates)), kept), rejected }
  return batch
})
