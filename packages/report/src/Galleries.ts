/**
 * Galleries out of a run: rows kept and rejected, captions that were made, texts nearest to an image.
 *
 * Few rows, evenly spread over the score or the row set; images are read for those rows only.
 */
import type { DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import { Effect } from "effect"
import type { Card, Gallery, Line } from "./Gallery.ts"
import { columnsOf, firstSeeds, portsOf, spread, title } from "./Lookup.ts"
import { count, number } from "./Numbers.ts"
import type { ReportStore, Row, Value } from "./ReportStore.ts"

const cardsPerGallery = 8
const maxNeighbourRows = 4000

const textOf = (value: Value): string =>
  typeof value === "number"
    ? number(value)
    : typeof value === "string"
      ? value
      : value === undefined
        ? "\u2013"
        : String(value)

const makeCard = Effect.fnUntraced(function* (store: ReportStore, bytes: Value, lines: ReadonlyArray<Line>) {
  const image = bytes instanceof Uint8Array ? yield* store.picture(bytes) : undefined
  const card: Card = { ...(image === undefined ? {} : { image }), lines }
  return card
})

/** Rows at places spread over the order of a column's values; over the stored order where there is no column. */
const pickRows = Effect.fnUntraced(function* (
  store: ReportStore,
  rows: StoredRows,
  total: number,
  by: string | undefined
) {
  if (by === undefined) return spread(total, cardsPerGallery)
  const values = (yield* store.rows(rows, [by])).map((row) => Number(row[by] ?? 0))
  const order = [...values.keys()].sort((a, b) => values[b]! - values[a]!)
  return spread(order.length, cardsPerGallery).map((i) => order[i]!)
})

const inOrder = Effect.fnUntraced(function* (
  store: ReportStore,
  rows: StoredRows,
  columns: ReadonlyArray<string>,
  picked: ReadonlyArray<number>
) {
  const ascending = picked.toSorted((a, b) => a - b)
  const read = yield* store.rows(rows, columns, ascending)
  const byIndex = new Map(ascending.map((index, i) => [index, read[i]!]))
  return picked.map((index) => byIndex.get(index)!)
})

const portGallery = Effect.fnUntraced(function* (
  record: RunRecord,
  store: ReportStore,
  node: DrawnNode,
  rows: StoredRows
) {
  const image = columnsOf(rows, "image")[0]
  const total = record.nodes[node.id]?.ports[rows.port] ?? 0
  if (image === undefined || total === 0) return undefined
  const texts = columnsOf(rows, "text")
  const scores = columnsOf(rows, "score")
  const flags = columnsOf(rows, "flag")
  const picked = yield* pickRows(store, rows, total, scores[0])
  const read = yield* inOrder(store, rows, [image, ...texts, ...scores, ...flags], picked)
  const tone = rows.port === "rejected" ? "bad" : "good"
  const cards: Array<Card> = []
  for (const row of read) {
    const lines: ReadonlyArray<Line> = [
      ...texts.map((name): Line =>
        texts.length === 1 ? { text: textOf(row[name]) } : { label: name, text: textOf(row[name]) }
      ),
      ...scores.map((name): Line => ({ label: name, text: textOf(row[name]), tone })),
      ...flags.map((name): Line => ({ label: name, text: row[name] === true ? "yes" : "no", tone: "quiet" }))
    ]
    cards.push(yield* makeCard(store, row[image], lines))
  }
  const gallery: Gallery = {
    title: `${title(node)}: ${rows.port}`,
    note: `${cards.length} of ${count(total)} rows${scores[0] === undefined ? "" : `, spread over ${scores[0]}, highest first`}.`,
    cards
  }
  return gallery
})

/** Kept and rejected rows of every filter. */
export const filterGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.kind === "route"))
    for (const rows of Object.values(portsOf(record, node))) {
      const gallery = rows === undefined ? undefined : yield* portGallery(record, store, node, rows)
      if (gallery !== undefined) galleries.push(gallery)
    }
  return galleries
})

/** What a Captioner wrote, beside the texts that the row set came with. */
export const captionGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.op === "Captioner")) {
    const column = `${node.id}.caption`
    const rows = record.rows.find((each) => each.columns[column] === "text")
    const image = rows && columnsOf(rows, "image").find((name) => !name.includes("."))
    if (rows === undefined || image === undefined) continue
    const total = record.nodes[node.id]?.rows_out ?? 0
    const texts = columnsOf(rows, "text").filter((name) => !name.includes("."))
    const read = yield* store.rows(rows, [image, column, ...texts], spread(total, cardsPerGallery))
    const cards: Array<Card> = []
    for (const row of read)
      cards.push(
        yield* makeCard(store, row[image], [
          { label: "synthetic", text: textOf(row[column]), tone: "made" },
          ...texts.map((name): Line => ({ label: name, text: textOf(row[name]) }))
        ])
      )
    galleries.push({
      title: `${title(node)}: synthetic captions beside what came with the image`,
      note: `${cards.length} of ${count(total)} rows.`,
      cards
    })
  }
  return galleries
})

const cosine = (a: Float32Array, b: Float32Array): number => {
  let dot = 0
  let aa = 0
  let bb = 0
  for (let i = 0; i < a.length; i++) {
    dot += a[i]! * b[i]!
    aa += a[i]! * a[i]!
    bb += b[i]! * b[i]!
  }
  return dot / Math.sqrt(aa * bb)
}

const nearest = (query: Float32Array, rows: ReadonlyArray<Row>, embedding: string, n: number) =>
  rows
    .flatMap((row, index) => {
      const vector = row[embedding]
      return vector instanceof Float32Array && vector.length === query.length
        ? [{ index, score: cosine(query, vector) }]
        : []
    })
    .sort((a, b) => b.score - a.score)
    .slice(0, n)

const neighbourGallery = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore, node: DrawnNode) {
  const imageEmbeds = `${node.id}.image_embeds`
  const rows = record.rows.find((each) => each.columns[imageEmbeds] === "embedding")
  const sameVariant = (id: string) => id.replace(/^[^[]*/, "") === node.id.replace(/^[^[]*/, "")
  const textEmbeds =
    rows &&
    columnsOf(rows, "embedding").find((name) => {
      const owner = name.slice(0, name.lastIndexOf("."))
      return name.endsWith(".text_embeds") && sameVariant(owner)
    })
  const image = rows && columnsOf(rows, "image").find((name) => !name.includes("."))
  const texts = rows === undefined ? [] : columnsOf(rows, "text").filter((name) => !name.includes("."))
  const owner = record.graph.find((each) => textEmbeds === `${each.id}.text_embeds`)
  if (rows === undefined || textEmbeds === undefined || image === undefined || owner === undefined) return undefined
  const text = texts.includes("caption") ? "caption" : texts[0]
  const total = record.nodes[node.id]?.rows_out ?? 0
  if (text === undefined || total === 0 || total > maxNeighbourRows) return undefined
  const picked = spread(total, cardsPerGallery)
  const all = yield* store.rows(rows, [imageEmbeds, textEmbeds, text])
  const pictures = yield* store.rows(rows, [image], picked)
  const cards: Array<Card> = []
  for (const [at, index] of picked.entries()) {
    const query = all[index]?.[imageEmbeds]
    if (!(query instanceof Float32Array)) continue
    const own = textOf(all[index]![text])
    const lines = nearest(query, all, textEmbeds, 5).map((hit, rank): Line => {
      const found = textOf(all[hit.index]![text])
      return { label: `${rank + 1}. ${hit.score.toFixed(2)}`, text: found, tone: found === own ? "good" : "plain" }
    })
    cards.push(yield* makeCard(store, pictures[at]?.[image], [...lines, { label: "true", text: own, tone: "quiet" }]))
  }
  const gallery: Gallery = {
    title: `${title(node)}: nearest of ${count(total)} texts`,
    note: "Cosine similarity of the embeddings; the true text in green where it is among the nearest five.",
    cards
  }
  return gallery
})

export const neighbourGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.op === "ImageEncoder")) {
    const gallery = yield* neighbourGallery(record, store, node)
    if (gallery !== undefined) galleries.push(gallery)
  }
  return galleries
})
