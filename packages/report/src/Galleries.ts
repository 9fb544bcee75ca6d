/**
 * Galleries out of a run: rows kept and rejected, captions that were made, texts nearest to an image.
 *
 * Few rows, evenly spread over the score or the row set; images are read for those rows only.
 */
import type { DrawnNode, RunRecord, StoredRows } from "@bootlace/graph"
import { Effect } from "effect"
import type { Card, Gallery, Line } from "./Gallery.ts"
import { firstSeeds, portsOf, spread, title } from "./Lookup.ts"
import { count, number } from "./Numbers.ts"
import type { ReportStore, Row, Value } from "./ReportStore.ts"
import { columnsOf, idsWith, readBy, readRows, wiredColumns } from "./RowSetView.ts"

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

/** `web_itm.match_probability` is shown as `match_probability`. */
const shortName = (column: string): string => column.slice(column.lastIndexOf(".") + 1)

/** Ids spread over the order of a score, highest first; over the stored order where there is no score. */
const pickIds = (ids: ReadonlyArray<string>, scores: ReadonlyArray<Value> | undefined): ReadonlyArray<string> => {
  const order = [...ids.keys()]
  if (scores !== undefined) order.sort((a, b) => Number(scores[b] ?? 0) - Number(scores[a] ?? 0))
  return spread(order.length, cardsPerGallery).map((i) => ids[order[i]!]!)
}

const reasonsOf = Effect.fnUntraced(function* (store: ReportStore, port: StoredRows) {
  const ledger = yield* store.lines(port, "ledger.jsonl")
  return new Map(ledger.map((line) => [String(line["row_id"]), String(line["reason"])]))
})

const portGallery = Effect.fnUntraced(function* (
  record: RunRecord,
  store: ReportStore,
  node: DrawnNode,
  port: StoredRows
) {
  const view = readBy(record, node)
  const image = columnsOf(view, "image")[0]
  const ids = yield* store.ids(port)
  if (image === undefined || ids.length === 0) return undefined
  const wired = wiredColumns(view, node)
  const ofType = (type: string) => wired.filter((name) => view.columns[name] === type)
  const scores = ofType("score")
  const texts = ofType("text")
  const flags = columnsOf(view, "flag").filter((name) => wired.includes(name) || name === "matched")
  const by =
    scores[0] === undefined ? undefined : (yield* readRows(store, view, [scores[0]], ids)).map((row) => row[scores[0]!])
  const picked = pickIds(ids, by)
  const rows = yield* readRows(store, view, [image, ...texts, ...scores, ...flags], picked)
  const reasons = yield* reasonsOf(store, port)
  const tone = port.port === "rejected" ? "bad" : "good"
  const cards: Array<Card> = []
  for (const [i, row] of rows.entries()) {
    const reason = reasons.get(picked[i]!)
    cards.push(
      yield* makeCard(store, row[image], [
        ...texts.map((name): Line => ({
          ...(texts.length > 1 ? { label: shortName(name) } : {}),
          text: textOf(row[name])
        })),
        ...(reason === undefined
          ? scores.map((name): Line => ({ label: shortName(name), text: textOf(row[name]), tone }))
          : [{ text: reason, tone } as const]),
        ...flags.map((name): Line => ({ label: name, text: textOf(row[name]), tone: "quiet" }))
      ])
    )
  }
  const order = scores[0] === undefined ? "" : `, spread over ${shortName(scores[0])}, highest first`
  const gallery: Gallery = {
    title: `${title(node)}: ${port.port}`,
    note: `${cards.length} of ${count(ids.length)} rows${order}.`,
    cards
  }
  return gallery
})

/** Kept and rejected rows of every filter. */
export const filterGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.kind === "route"))
    for (const port of Object.values(portsOf(record, node))) {
      const gallery = port === undefined ? undefined : yield* portGallery(record, store, node, port)
      if (gallery !== undefined) galleries.push(gallery)
    }
  return galleries
})

/** What a Captioner wrote, beside the texts that the row set came with. */
export const captionGalleries = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore) {
  const galleries: Array<Gallery> = []
  for (const node of firstSeeds(record, (each) => each.op === "Captioner")) {
    const column = `${node.id}.caption`
    const view = readBy(record, node)
    const image = columnsOf(view, "image")[0]
    if (image === undefined || view.columns[column] === undefined) continue
    const texts = columnsOf(view, "text").filter((name) => !name.includes("."))
    const ids = yield* idsWith(store, view, [column, image])
    const rows = yield* readRows(store, view, [image, column, ...texts], pickIds(ids, undefined))
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
      note: `${cards.length} of ${count(ids.length)} rows.`,
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
      const fits = vector instanceof Float32Array && vector.length === query.length
      return fits ? [{ index, score: cosine(query, vector) }] : []
    })
    .sort((a, b) => b.score - a.score)
    .slice(0, n)

const variantOf = (id: string): string => id.replace(/^[^[]*/, "")

/** The texts of the same row set whose embeddings come from a node of the same variant. */
const embeddedTexts = (record: RunRecord, node: DrawnNode) => {
  const view = readBy(record, node)
  const images = `${node.id}.image_embeds`
  const texts = columnsOf(view, "embedding").find(
    (name) => name.endsWith(".text_embeds") && variantOf(name.slice(0, name.lastIndexOf("."))) === variantOf(node.id)
  )
  const image = columnsOf(view, "image")[0]
  const encoder = record.graph.find((each) => texts === `${each.id}.text_embeds`)
  const text = encoder && wiredColumns(view, encoder).find((name) => view.columns[name] === "text")
  const fallback = columnsOf(view, "text")[0]
  const shown = text ?? fallback
  return view.columns[images] === undefined || texts === undefined || image === undefined || shown === undefined
    ? undefined
    : { view, images, texts, image, text: shown }
}

const neighbourGallery = Effect.fnUntraced(function* (record: RunRecord, store: ReportStore, node: DrawnNode) {
  const found = embeddedTexts(record, node)
  if (found === undefined) return undefined
  const { view, images, texts, image, text } = found
  const ids = yield* idsWith(store, view, [images, texts, text])
  if (ids.length === 0 || ids.length > maxNeighbourRows) return undefined
  const all = yield* readRows(store, view, [images, texts, text], ids)
  const picked = spread(ids.length, cardsPerGallery)
  const pictures = yield* readRows(
    store,
    view,
    [image],
    picked.map((i) => ids[i]!)
  )
  const cards: Array<Card> = []
  for (const [at, index] of picked.entries()) {
    const query = all[index]![images]
    if (!(query instanceof Float32Array)) continue
    const own = textOf(all[index]![text])
    const lines = nearest(query, all, texts, 5).map((hit, rank): Line => {
      const said = textOf(all[hit.index]![text])
      return { label: `${rank + 1}. ${hit.score.toFixed(2)}`, text: said, tone: said === own ? "good" : "plain" }
    })
    cards.push(yield* makeCard(store, pictures[at]![image], [...lines, { label: "true", text: own, tone: "quiet" }]))
  }
  const gallery: Gallery = {
    title: `${title(node)}: nearest of ${count(ids.length)} texts`,
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
