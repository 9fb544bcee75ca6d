/**
 * The data of a training step: rows picked, prepared once, augmented, and put together as the program's inputs.
 *
 * Prepared cells (pixels, token ids) are kept until they fill a bound; rows met after that are prepared anew each time. What
 * is kept never changes a byte of a batch.
 */
import { columnOf, preprocess, rowIdHex, rowIdsOf, textsOf } from "@bootlace/data"
import type { HostTensors } from "@bootlace/engine"
import { NodeError } from "@bootlace/graph"
import type { Dataset } from "@bootlace/graph"
import { randomKey } from "@bootlace/models"
import * as Effect from "effect/Effect"
import { onRows } from "../RowValues.ts"
import { augmented } from "./Augment.ts"
import type { Augment } from "./AugmentConfig.ts"
import { lengthGroups, window } from "./LengthGroups.ts"
import type { OpenModel } from "./ModelArtifact.ts"
import { rowOrder } from "./RowOrder.ts"
import type { RowOrder } from "./RowOrder.ts"
import { cellsOf, collate, isRgb } from "./TensorColumn.ts"
import type { Cell } from "./TensorColumn.ts"
import { countImages, imageIdCells } from "./ImageIds.ts"
import type { Leaf } from "./TrainingParts.ts"

const cacheBytes = 256 * 1024 * 1024
const decodeConcurrency = 4

interface TrainingRow {
  readonly id: string
  /** In the order of the stream's leaves. */
  readonly cells: ReadonlyArray<Cell>
}

export interface StepRows {
  readonly inputs: HostTensors
  /** Hex ids of the rows, for errors. */
  readonly ids: ReadonlyArray<string>
}
export interface TrainingRows {
  readonly num_rows: number
  /** The rows of a step, or `count` of them from the place `first` on. */
  readonly at: (step: number, first: number, count: number) => Effect.Effect<StepRows, NodeError>
}

export interface TrainingData {
  readonly node: string
  readonly seed: number
  readonly batch_size: number
  readonly opened: OpenModel
  readonly augment: Augment | undefined
  readonly group_by_length: boolean
}

const sizeOf = (cell: Cell): number => (isRgb(cell) ? cell.data.byteLength : cell.byteLength)

/** Rows of a dataset by index, from memory where they are there. */
const preparedRows = (data: TrainingData, dataset: Dataset, leaves: ReadonlyArray<Leaf>) => {
  const kept = new Map<number, TrainingRow>()
  let bytes = 0
  const keep = (index: number, row: TrainingRow): void => {
    const size = row.cells.reduce((total, cell) => total + sizeOf(cell), 0)
    if (bytes + size > cacheBytes) return
    bytes += size
    kept.set(index, row)
  }
  const read = Effect.fnUntraced(function* (indices: Int32Array) {
    const batch = yield* dataset.rows(indices)
    const ids = rowIdsOf(batch)
    const columns = yield* onRows(data.node, () =>
      leaves.map(({ column, type, ids }) => {
        const vector = columnOf(batch, column)
        return ids === undefined ? cellsOf(type, vector, data.opened, data.augment !== undefined) : imageIdCells(vector)
      })
    )
    return yield* Effect.forEach(
      indices,
      (_, row) =>
        Effect.all(columns.map((cells) => cells[row]!)).pipe(
          Effect.map((cells): TrainingRow => ({ id: rowIdHex(ids, row), cells })),
          Effect.mapError(({ reason }) => {
            const detail = `row ${rowIdHex(ids, row)} can't be trained on: ${reason}`
            return new NodeError({ code: "R302", node: data.node, detail, hint: "filter such rows out before Train" })
          })
        ),
      { concurrency: decodeConcurrency }
    )
  })
  return Effect.fnUntraced(function* (indices: Int32Array) {
    const missing = Int32Array.from(new Set(indices)).filter((index) => !kept.has(index))
    const fresh = new Map<number, TrainingRow>()
    if (missing.length > 0) {
      const rows = yield* read(missing)
      rows.forEach((row, i) => {
        fresh.set(missing[i]!, row)
        keep(missing[i]!, row)
      })
    }
    return Array.from(indices, (index) => fresh.get(index) ?? kept.get(index)!)
  })
}

/** The cell as the program takes it; an image is cropped and mirrored as its place in the step says. */
const finished = (cell: Cell, { augment, opened, seed, node }: TrainingData, step: number, place: number) => {
  if (!isRgb(cell)) return cell
  const key = randomKey(seed, node, "augment", step, place)
  const { preprocess: how } = opened.model
  return preprocess(augment === undefined ? cell : augmented(cell, augment, how.image_size, key), how)
}

/** Tokens of each row's texts; a row without a text has none, and fails where it is prepared. */
const lengthsOf = Effect.fnUntraced(function* (
  { node, opened: { tokenizer, model } }: TrainingData,
  dataset: Dataset,
  columns: ReadonlyArray<string>,
  indices: Int32Array
) {
  const batch = yield* dataset.rows(indices)
  return yield* onRows(node, () => {
    const texts = columns.map((column) => textsOf(columnOf(batch, column)))
    const tokens = (text: string | null): number =>
      text === null ? 0 : tokenizer.encode(text, model.max_text_length).length
    return Array.from(indices, (_, row) => texts.reduce((sum, column) => sum + tokens(column[row] ?? null), 0))
  })
})

/** The rows of each step, of like length in each batch. */
const groupedOrder = (
  data: TrainingData,
  stream: string,
  dataset: Dataset,
  columns: ReadonlyArray<string>,
  order: RowOrder
) => {
  const { seed, node, batch_size } = data
  let latest: { readonly number: number; readonly batches: ReadonlyArray<Int32Array> } | undefined
  return Effect.fnUntraced(function* (step: number) {
    const number = Math.floor(step / window)
    if (latest?.number !== number) {
      const steps = Array.from({ length: window }, (_, i) => order.rowsOf(number * window + i))
      const rows = Int32Array.from(steps.flatMap((indices) => [...indices]))
      const lengths = yield* lengthsOf(data, dataset, columns, rows)
      const groups = lengthGroups(lengths, batch_size, randomKey(seed, "groups", `${node}.${stream}`, number))
      latest = { number, batches: groups.map((places) => places.map((place) => rows[place]!)) }
    }
    return latest.batches[step % window]!
  })
}

/** Fails with R305 where these rows show fewer images than a leaf asks for. */
const checkImages = (
  node: string,
  step: number,
  rows: ReadonlyArray<TrainingRow>,
  leaves: ReadonlyArray<Leaf>
): Effect.Effect<void, NodeError> => {
  for (const [i, { ids }] of leaves.entries()) {
    if (ids === undefined || countImages(rows.map(({ cells }) => cells[i]!)) >= ids.at_least) continue
    const detail = `step ${step}: all ${rows.length} rows show the same image, so none is a negative of another`
    const hint = "a larger batch_size, or more images; or say same_image: negative"
    return Effect.fail(new NodeError({ code: "R305", node, detail, hint }))
  }
  return Effect.void
}

/** One stream of a Train node. Fails with R303 on a dataset without rows. */
export const trainingRows = Effect.fnUntraced(function* (
  data: TrainingData,
  stream: string,
  dataset: Dataset,
  leaves: ReadonlyArray<Leaf>
) {
  const { node, seed, batch_size, opened } = data
  const { numRows: num_rows } = dataset
  if (num_rows === 0) return yield* new NodeError({ code: "R303", node, detail: `${stream} has no rows to train on` })
  const order = rowOrder({ seed, stream: `${node}.${stream}`, num_rows, batch_size })
  const texts = leaves.filter(({ type }) => type === "text").map(({ column }) => column)
  const indicesOf = data.group_by_length
    ? groupedOrder(data, stream, dataset, texts, order)
    : (step: number) => Effect.succeed(order.rowsOf(step))
  const rowsAt = preparedRows(data, dataset, leaves)
  const at = Effect.fnUntraced(function* (step: number, first: number, count: number) {
    const rows = yield* rowsAt((yield* indicesOf(step)).subarray(first, first + count))
    yield* checkImages(node, step, rows, leaves)
    const inputs = leaves.map(({ type, name, ids }, i) =>
      collate(
        ids === undefined ? type : "embedding",
        name,
        rows.map((row, place) => finished(row.cells[i]!, data, step, first + place)),
        opened
      )
    )
    return { inputs: Object.assign({}, ...inputs) as HostTensors, ids: rows.map((row) => row.id) } satisfies StepRows
  })
  return { num_rows, at } satisfies TrainingRows
})
