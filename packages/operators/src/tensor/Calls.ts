/**
 * Which rows of a batch run together, so that little of a run is padding and no image is read twice.
 *
 *   image                       rows as they come, fewer at a time the more tokens an image has
 *   text in, text alone         rows whose texts are padded to the same length
 *   image_tokens [U, N, D]      with `sharesImages`: each image once, with G of its texts side by side; [U G, T] texts
 *   anything else               rows as they come
 *
 * A call takes `batch_size` rows or a quarter of them, the last one repeated where there are fewer, so a program has few shapes. How long a
 * text is padded hangs on itself alone, or, with several texts of an image, on those beside it.
 */
import type { Columns } from "@bootlace/graph"
import type { PreparedRow } from "./MicroBatch.ts"
import type { OpenModel } from "./ModelArtifact.ts"
import { bucketOf } from "./TensorColumn.ts"

/** Places among the rows given; a row that stands there again fills up. */
export interface Call {
  readonly rows: ReadonlyArray<number>
  /** The rows whose image tokens go in: all of them, or each the first of as many rows side by side. */
  readonly images: ReadonlyArray<number>
}

/** Rows that stay side by side, all of one image. */
interface Block {
  readonly rows: ReadonlyArray<number>
  /** Padded lengths of its texts: blocks of equal lengths run together. */
  readonly lengths: ReadonlyArray<number>
}

export interface Rows {
  readonly rows: ReadonlyArray<PreparedRow>
  readonly inputs: Columns
  readonly model: OpenModel | undefined
  readonly batch_size: number
  /** The program takes image tokens of fewer images than texts. */
  readonly sharesImages?: boolean
}

const namesOf = (inputs: Columns, type: string): ReadonlyArray<string> =>
  Object.keys(inputs).filter((name) => inputs[name] === type)

const chunks = <A>(all: ReadonlyArray<A>, size: number): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size))

/** `size` of them, the last one repeated. */
const filled = <A>(some: ReadonlyArray<A>, size: number): ReadonlyArray<A> =>
  Array.from({ length: size }, (_, i) => some[Math.min(i, some.length - 1)]!)

/** Texts cost as they are padded, by input. A model that reads padding pads all alike. */
const lengthsOf = ({ rows, inputs, model }: Rows): ((row: number) => ReadonlyArray<number>) => {
  const texts = namesOf(inputs, "text")
  if (model === undefined || model.model.text_padding === "full") return () => []
  const { max_text_length } = model.model
  return (row) => texts.map((name) => bucketOf((rows[row]!.cells[name] as Int32Array).length, max_text_length))
}

const isSame = (a: Float32Array, b: Float32Array): boolean =>
  a === b ||
  (a.buffer === b.buffer && a.byteOffset === b.byteOffset) ||
  Buffer.from(a.buffer, a.byteOffset, a.byteLength).equals(Buffer.from(b.buffer, b.byteOffset, b.byteLength))

/** Rows beside each other whose image tokens are the same. */
const rowsByImage = ({ rows, inputs }: Rows): ReadonlyArray<ReadonlyArray<number>> => {
  const names = namesOf(inputs, "image_tokens")
  const cell = (row: number, name: string) => rows[row]!.cells[name] as Float32Array
  const runs: Array<Array<number>> = []
  for (const row of rows.keys()) {
    const isNext = row > 0 && names.every((name) => isSame(cell(row - 1, name), cell(row, name)))
    if (isNext) runs.at(-1)!.push(row)
    else runs.push([row])
  }
  return runs
}

type Lengths = ReturnType<typeof lengthsOf>

/** At most G rows of an image to a block, short texts first. */
const blocksOf = (images: ReadonlyArray<ReadonlyArray<number>>, G: number, lengths: Lengths): ReadonlyArray<Block> =>
  images.flatMap((rows) => {
    const total = (row: number): number => lengths(row).reduce((sum, length) => sum + length, 0)
    const sorted = rows.length === 1 ? rows : rows.toSorted((a, b) => total(a) - total(b) || a - b)
    return chunks(sorted, G).map((block) => {
      const all = block.map(lengths)
      return { rows: block, lengths: all[0]!.map((_, text) => Math.max(...all.map((each) => each[text]!))) }
    })
  })

/** How many blocks each call takes: full ones, then quarters. */
const sizesOf = (blocks: number, full: number, quarter: number): ReadonlyArray<number> => {
  const wholes = Math.floor(blocks / full)
  const quarters = Math.ceil((blocks % full) / quarter)
  return quarters * quarter >= full
    ? Array<number>(wholes + 1).fill(full)
    : [...Array<number>(wholes).fill(full), ...Array<number>(quarters).fill(quarter)]
}

interface Plan {
  readonly calls: ReadonlyArray<Call>
  readonly cost: number
}

/** In multiply-adds of a layer over its width squared: a text's token meets 14 such matrices, an image's token 2. */
const costOf = ({ rows, images }: Call, lengths: ReadonlyArray<number>, image_tokens: number): number =>
  images.length * image_tokens * 2 + rows.length * lengths.reduce((sum, length) => sum + length, 0) * 14

const planOf = (at: Rows, images: ReadonlyArray<ReadonlyArray<number>>, G: number): Plan => {
  const { batch_size, model } = at
  const alike = Map.groupBy(blocksOf(images, G, lengthsOf(at)), ({ lengths }) => lengths.join())
  const calls: Array<Call> = []
  let cost = 0
  for (const blocks of alike.values()) {
    const { lengths } = blocks[0]!
    const full = Math.max(1, Math.floor(batch_size / G))
    const quarter = lengths.length === 0 ? full : Math.max(1, Math.floor(Math.max(2, batch_size / 4) / G))
    let start = 0
    for (const size of sizesOf(blocks.length, full, quarter)) {
      const some = filled(blocks.slice(start, start + size), size)
      const call = { rows: some.flatMap((block) => filled(block.rows, G)), images: some.map(({ rows }) => rows[0]!) }
      calls.push(call)
      cost += costOf(call, lengths, model?.model.image_tokens[0] ?? 0)
      start += size
    }
  }
  return { calls, cost }
}

/** Image tokens of one call: of 64 images in 14 x 14 patches. So its memory has a bound, whatever the resolution. */
const tokensAtOnce = 64 * 197

/** The last call is filled up to a power of two: one image costs as much as two, and there are few shapes. */
const imageCalls = ({ rows, model, batch_size }: Rows): ReadonlyArray<Call> => {
  const tokens = model?.model.image_tokens[0] ?? 1
  const full = Math.min(batch_size, Math.max(2, 2 ** Math.floor(Math.log2(tokensAtOnce / tokens))))
  return chunks([...rows.keys()], full).map((some) => {
    const all = filled(some, Math.min(full, Math.max(2, 2 ** Math.ceil(Math.log2(some.length)))))
    return { rows: all, images: all }
  })
}

/** The calls for all rows: of those with 1, 2, 4, ... texts of an image side by side the cheapest. */
export const callsFor = (at: Rows): ReadonlyArray<Call> => {
  if (at.rows.length === 0) return []
  if (namesOf(at.inputs, "image").length > 0) return imageCalls(at)
  const images = at.sharesImages === true ? rowsByImage(at) : Array.from(at.rows.keys(), (row) => [row])
  const most = Math.min(at.batch_size, Math.max(...images.map((rows) => rows.length)))
  let best = planOf(at, images, 1)
  for (let G = 2; G < 2 * most && G <= at.batch_size; G *= 2) {
    const plan = planOf(at, images, G)
    if (plan.cost < best.cost) best = plan
  }
  return best.calls
}
