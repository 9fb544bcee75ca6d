/**
 * Galleries out of a run: rows kept and rejected, captions that were made, texts nearest to an image.
 *
 * Few rows, evenly spread over the score or the row set; images are read for those rows only.
 */
import type { DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import type { Card, Gallery, Line } from "./Gallery.ts"
import { columnsOf, firstSeeds, ownColumns, portsOf, rowsReadBy, spread, title } from "./Lookup.ts"
import { count, number } from "./Numbers.ts"
import type { ReportStore, Row, Value } from "./ReportStore.ts"

const cardsPerGallery = 8
const maxNeighbourRows = 4000

const textOf = (value: Value): string =>
  typeof value === "number"
    ? number(value)
    : typeof value === "boolean"
      ? value
        ? "yes"
        : "no"
      : typeof value === "string"
        ? value
        : "\u2013"

const makeCard = Effect.fnUntraced(function* (store: ReportStore, bytes: Value, lines: ReadonlyArray<Line>) {
  const image = bytes instanceof Uint8Array ? yield* store.picture(bytes) : undefined
  const card: Card = { ...(image === undefined ? {} : { image }), lines }
  return card
})

/** Indices spread over the order of a column's values, highest first; over the stored order where there is no column. */
const pickRows = Effect.fnUntraced(function* (store: ReportStore, rows: StoredRows, total: number, by?: string) {
  if (by === undefined) return spread(total, cardsPerGallery)
  const values = (yield* store.rows(rows, [by])).map((row) => Number(row[by] ?? 0))
  const order = [...values.keys()].filter((i) => i < total).sort((a, b) => values[b]! - values[a]!)
  return spread(order.length, cardsPerGallery).map((i) => order[i]!)
})

const reasonsOf = Effect.fnUntraced(function* (store: ReportStore, port: StoredRows) {
  const ledger = yield* store.lines(port.keys, "ledger.jsonl")
  return new Map(ledger.map((line) => [String(line["row_id"]), String(line["reason"])]))
})

const portGallery = Effect.fnUntraced(function* (store: ReportStore, node: DrawnNode, port: StoredRows) {
  const image = ownColumns(port, "image")[0]
  const texts = ownColumns(port, "text")
  const scores = ownColumns(port, "score")
  const flags = ownColumns(port, "flag")
  if (image === undefined) return undefined
  const columns = [image, ...texts, ...scores, ...flags]
  const total = yield* store.count(port, columns)
  const rows = yield* store.rows(port, columns, yield* pickRows(store, port, total, scores[0]))
  const reasons = yield* reasonsOf(store, port)
  const tone = port.port === "rejected" ? "bad" : "good"
  const cards: Array<Card> = []
  for (const row of rows) {
    const reason = reasons.get(String(row["row_id"]))
    cards.push(
      yield* makeCard(store, row[image], [
        ...texts.map((name): Line => ({ ...(texts.length > 1 ? { label: name } : {}), text: textOf(row[name]) })),
        ...(reason === undefined
          ? scores.map((name): Line => ({ label: name, text: textOf(row[name]), tone }))
          : [{ text: reason, tone } as const]),
        ...flags.map((name): Line => ({ label: name, text: textOf(row[name]), tone: "quiet" }))
      ])
    )
  }
  const order = scores[0] === undefined ? "" : `, spread over ${scores[0]}, highest first`
  const gallery: Gallery = {
    title: `${title(node)}: ${port.port}`,
    note: `${cards.length} of ${count(total)} rows${order}.`,
    cards
  }
  return gallery
})

/** Kept and rejected rows of every filter. */
export const filterGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.kind === "route"))
    for (const port of Object.values(portsOf(record, node))) {
      const gallery = port === undefined ? undefined : yield* portGallery(store, node, port)
      if (gallery !== undefined) galleries.push(gallery)
    }
  return galleries
})

/** What a Captioner wrote, beside the texts that the row set came with. */
export const captionGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.op === "Captioner")) {
    const column = `${node.id}.caption`
    const stored = rowsReadBy(record, node)
    const image = stored && ownColumns(stored, "image")[0]
    if (stored?.columns[column] === undefined || image === undefined) continue
    const texts = ownColumns(stored, "text")
    const columns = [image, column, ...texts]
    const total = yield* store.count(stored, columns)
    const rows = yield* store.rows(stored, columns, spread(total, cardsPerGallery))
    const cards: Array<Card> = []
    for (const row of rows)
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

/** The nearest rows with different texts. */
const nearest = (query: Float32Array, rows: ReadonlyArray<Row>, embedding: string, text: string, n: number) => {
  const scored = rows
    .flatMap((row) => {
      const vector = row[embedding]
      const fits = vector instanceof Float32Array && vector.length === query.length
      return fits ? [{ text: textOf(row[text]), score: cosine(query, vector) }] : []
    })
    .sort((a, b) => b.score - a.score)
  return [...Map.groupBy(scored, (hit) => hit.text).values()].slice(0, n).map(([first]) => first!)
}

const variantOf = (id: string): string => id.replace(/^[^[]*/, "")

/** The text embeddings of the same row set that come from a node of the same variant, and the text to show for them. */
const embeddedTexts = (record: RunRecord, node: DrawnNode) => {
  const stored = rowsReadBy(record, node)
  const images = `${node.id}.image_embeds`
  if (stored?.columns[images] === undefined) return undefined
  const texts = columnsOf(stored, "embedding").find(
    (name) => name.endsWith(".text_embeds") && variantOf(name.slice(0, name.lastIndexOf("."))) === variantOf(node.id)
  )
  const image = ownColumns(stored, "image")[0]
  const own = ownColumns(stored, "text")
  const text = own.includes("caption") ? "caption" : own[0]
  return texts === undefined || image === undefined || text === undefined
    ? undefined
    : { stored, images, texts, image, text }
}

const neighbourGallery = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore, node: DrawnNode) {
  const found = embeddedTexts(record, node)
  if (found === undefined) return undefined
  const { stored, images, texts, image, text } = found
  const total = yield* store.count(stored, [image, images, texts, text])
  if (total === 0 || total > maxNeighbourRows) return undefined
  const all = yield* store.rows(stored, [images, texts, text])
  const shown = yield* store.rows(stored, [image, images, texts, text], spread(total, cardsPerGallery))
  const cards: Array<Card> = []
  for (const row of shown) {
    const query = row[images]
    if (!(query instanceof Float32Array)) continue
    const own = textOf(row[text])
    const lines = nearest(query, all, texts, text, 5).map((hit, rank): Line => ({
      label: `${rank + 1}. ${hit.score.toFixed(2)}`,
      text: hit.text,
      tone: hit.text === own ? "good" : "plain"
    }))
    cards.push(yield* makeCard(store, row[image], [...lines, { label: "true", text: own, tone: "quiet" }]))
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
