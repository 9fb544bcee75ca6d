/** Rows of image and text embeddings, ready for comparing each with each: what retrieval is measured on. */
import { columnOf, floatsOf, rowIdHex, rowIdsOf } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Batch } from "@bootlace/graph"
import { textsIn } from "../RowValues.ts"
import { unitRows } from "./Similarity.ts"

export interface EmbeddedPairs {
  readonly rows: number
  /** Of the rows, 16 bytes each. */
  readonly ids: Uint8Array
  /** [rows, E] each, unit length. */
  readonly images: Float32Array
  readonly texts: Float32Array
  /** The number of the row's group. */
  readonly groups: Int32Array
}

const numbered = (names: ReadonlyArray<string>): Int32Array => {
  const numbers = new Map<string, number>()
  return Int32Array.from(names, (name) => {
    const number = numbers.get(name) ?? numbers.size
    numbers.set(name, number)
    return number
  })
}

/** Throws a NodeError at a row whose values can't be compared. */
export const embeddedPairs = (node: string, batch: Batch): EmbeddedPairs => {
  const rows = batch.numRows
  const read = (column: string): Float32Array => {
    const values = floatsOf(columnOf(batch, column))
    const odd = values.findIndex((value) => !Number.isFinite(value))
    if (odd < 0) return unitRows(values, values.length / rows)
    const row = Math.floor((odd * rows) / values.length)
    const detail = `${column} of row ${rowIdHex(rowIdsOf(batch), row)} has the value ${values[odd]}`
    throw new NodeError({ code: "R221", node, row, detail })
  }
  const images = read("image_embeds")
  const texts = read("text_embeds")
  if (images.length !== texts.length) {
    const detail = `image_embeds have ${images.length / rows} values a row and text_embeds ${texts.length / rows}`
    throw new NodeError({ code: "R225", node, detail, hint: "wire both from encoders of the same model" })
  }
  const alone = batch.getChild("group") === null
  const groups = alone ? Int32Array.from({ length: rows }, (_, row) => row) : numbered(textsIn(node, batch, "group"))
  return { rows, ids: rowIdsOf(batch), images, texts, groups }
}
