/**
 * What stands between a column and a tensor, by column type: a cell prepared once on the host, and a batch of cells.
 *
 *   type                      cell                                       tensors of B cells
 *   image                     Float32Array [3, S, S], or Rgb to augment  `name` float32 [B, 3, S, S]
 *   text                      Int32Array of t <= T_max token ids         `name.input_ids`, `name.attention_mask` int32 [B, T]
 *   token_ids, label          Int32Array                                 `name` int32 [B, ...]
 *   embedding, image_tokens   Float32Array                               `name` float32 [B, ...]
 *   score, flag               Float32Array [1]                           `name` float32 [B]
 *
 * T is the smallest bucket that holds the longest of the B texts, so a program has few shapes. A model that reads padding like
 * text gets T_max places, all visible.
 */
import {
  blends,
  decodeImage,
  flagsOf,
  floatsOf,
  imagesOf,
  intsOf,
  preprocess,
  processImage,
  shapeOf,
  textsOf
} from "@bootlace/data"
import type { DataError, EncodedImage, Rgb, Vectors } from "@bootlace/data"
import type { HostTensors, Tensors } from "@bootlace/engine"
import type { StoredType } from "@bootlace/graph"
import type { Preprocess } from "@bootlace/models"
import type { Tensor } from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import type { OpenModel } from "./ModelArtifact.ts"
import type { ColumnTensors } from "./TensorOperator.ts"

export type Cell = Float32Array | Int32Array | Rgb

/** A cell that can't be used, in words for a person. */
export interface BadCell {
  readonly code: "R201" | "R202"
  readonly reason: string
}

/** Cells of a column, one effect a row, so that images are decoded several at a time. */
export type Cells = ReadonlyArray<Effect.Effect<Cell, BadCell>>

const textBuckets = [8, 12, 16, 20, 24, 30, 40, 52, 64, 77, 96, 128, 192, 256, 384, 512]

/** The padded length of texts of which the longest has `length` tokens. */
export const bucketOf = (length: number, max_text_length: number): number =>
  Math.min(textBuckets.find((bucket) => bucket >= length) ?? length, max_text_length)

export const isRgb = (cell: Cell): cell is Rgb => "width" in cell

const needModel = (model: OpenModel | undefined, type: StoredType): OpenModel => {
  if (model === undefined) throw new Error(`a column of type ${type} needs a model to be prepared`)
  return model
}

/** An imported model gets the pixels of the library it comes from; images to augment stay whole. */
const imageCell = ({ bytes, path }: EncodedImage, how: Preprocess, keep: boolean): Effect.Effect<Cell, DataError> => {
  const where = { file: path ?? "image" }
  const { processor } = how
  if (keep) return decodeImage(bytes, { where, alpha: blends(processor) ? "white" : "drop" })
  return processor === undefined
    ? Effect.map(decodeImage(bytes, { where }), (rgb) => preprocess(rgb, how))
    : processImage(bytes, how, processor, { where })
}

const imageCells = (vector: Vectors[string], { model }: OpenModel, keep: boolean): Cells =>
  imagesOf(vector).map((image) => {
    if (image === null) return Effect.fail<BadCell>({ code: "R202", reason: "no image in this row" })
    return imageCell(image, model.preprocess, keep).pipe(
      Effect.mapError((error): BadCell => ({ code: "R202", reason: error.message }))
    )
  })

const textCells = (vector: Vectors[string], { tokenizer, model }: OpenModel): Cells =>
  textsOf(vector).map((text) =>
    text === null || text.trim() === ""
      ? Effect.fail<BadCell>({ code: "R201", reason: "the text is empty" })
      : Effect.sync(() => tokenizer.encode(text, model.max_text_length))
  )

/** Rows of one typed array. */
const numberCells = (values: Float32Array | Int32Array, vector: Vectors[string], type: StoredType): Cells => {
  const stride = (shapeOf(vector.type) ?? []).reduce((size, side) => size * side, 1)
  return Array.from({ length: vector.length }, (_, row) =>
    vector.isValid(row)
      ? Effect.succeed(values.subarray(row * stride, (row + 1) * stride))
      : Effect.fail<BadCell>({ code: "R201", reason: `no ${type} in this row` })
  )
}

/** `keepRgb`: images stay as they were decoded, for a crop that differs from step to step. */
export const cellsOf = (
  type: StoredType,
  vector: Vectors[string],
  model: OpenModel | undefined,
  keepRgb = false
): Cells => {
  switch (type) {
    case "image":
      return imageCells(vector, needModel(model, type), keepRgb)
    case "text":
      return textCells(vector, needModel(model, type))
    case "token_ids":
    case "label":
      return numberCells(intsOf(vector), vector, type)
    case "flag":
      return numberCells(Float32Array.from(flagsOf(vector), Number), vector, type)
    default:
      return numberCells(floatsOf(vector), vector, type)
  }
}

const collateTexts = (name: string, cells: ReadonlyArray<Int32Array>, { tokenizer, model }: OpenModel): HostTensors => {
  const full = model.text_padding === "full"
  const T = full ? model.max_text_length : bucketOf(Math.max(...cells.map((ids) => ids.length)), model.max_text_length)
  const input_ids = new Int32Array(cells.length * T).fill(tokenizer.pad)
  const attention_mask = new Int32Array(cells.length * T)
  cells.forEach((ids, row) => {
    input_ids.set(ids, row * T)
    attention_mask.fill(1, row * T, row * T + (full ? T : ids.length))
  })
  const shape = [cells.length, T]
  return {
    [`${name}.input_ids`]: { shape, dtype: "int32", data: input_ids },
    [`${name}.attention_mask`]: { shape, dtype: "int32", data: attention_mask }
  }
}

const cellShape = (type: StoredType, length: number, model: OpenModel | undefined): ReadonlyArray<number> => {
  switch (type) {
    case "image": {
      const { image_size } = needModel(model, type).model.preprocess
      return [3, image_size, image_size]
    }
    case "image_tokens":
      return needModel(model, type).model.image_tokens
    case "score":
    case "label":
    case "flag":
      return []
    default:
      return [length]
  }
}

/** The tensors of a batch of prepared cells (images no longer Rgb), under names that start with `name`. */
export const collate = (
  type: StoredType,
  name: string,
  cells: ReadonlyArray<Float32Array | Int32Array>,
  model: OpenModel | undefined
): HostTensors => {
  if (type === "text") return collateTexts(name, cells as ReadonlyArray<Int32Array>, needModel(model, type))
  const stride = cells[0]!.length
  const isInt = cells[0] instanceof Int32Array
  const data = isInt ? new Int32Array(cells.length * stride) : new Float32Array(cells.length * stride)
  cells.forEach((cell, row) => data.set(cell, row * stride))
  const shape = [cells.length, ...cellShape(type, stride, model)]
  return { [name]: { shape, dtype: isInt ? "int32" : "float32", data } }
}

/** What a program sees of the tensors that `collate` made. */
export const columnTensors = (type: StoredType, name: string, tensors: Tensors): ColumnTensors[StoredType] => {
  const find = (key: string): Tensor => {
    const tensor = tensors[key]
    if (tensor === undefined) throw new Error(`the program has no input ${key}`)
    return tensor
  }
  return type === "text"
    ? { input_ids: find(`${name}.input_ids`), attention_mask: find(`${name}.attention_mask`) }
    : find(name)
}
