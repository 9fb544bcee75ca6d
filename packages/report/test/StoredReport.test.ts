import {
  ArtifactStore,
  Files,
  decodeImage,
  encodeShard,
  flagColumn,
  imageColumn,
  keyOf,
  makeBatch,
  rowIdHex,
  rowIdVector,
  schemaHash,
  scoreColumn,
  sourceRowIds,
  tensorColumn,
  textColumn
} from "@bootlace/data"
import type { ColumnType, RunRecord, StoredRows } from "@bootlace/graph"
import { openStoredRows } from "@bootlace/runtime"
import { it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe } from "vitest"
import { quality } from "../src/FilterQuality.ts"
import { gather } from "../src/Gather.ts"
import { renderPage } from "../src/Page.ts"
import { encodePng } from "../src/Png.ts"
import { makeReportStore } from "../src/StoredReport.ts"
import { uniform } from "./Sample.ts"

const root = mkdtempSync(join(tmpdir(), "bootlace-report-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const layer = ArtifactStore.layer(root).pipe(Layer.provide(Files.layer))

const n = 40
const ids = sourceRowIds("shard", 0, n)
const idOf = (row: number): string => rowIdHex(ids, row)
const only = (rows: ReadonlyArray<number>) =>
  rowIdVector(Uint8Array.from(rows.flatMap((row) => [...ids.subarray(row * 16, (row + 1) * 16)])))
const all = Array.from({ length: n }, (_, i) => i)

/** Row i is matched where i is even; its score is i / n, so half of the kept rows are matched. */
const scores = all.map((i) => i / n)
const kept = all.filter((i) => scores[i]! >= 0.5)
const rejected = all.filter((i) => scores[i]! < 0.5)
const picture = (i: number) =>
  encodePng(
    8,
    8,
    Uint8Array.from({ length: 192 }, (_, at) => (at % 3 === 0 ? 6 * i : 40))
  )
const onCircle = (i: number): ReadonlyArray<number> => [Math.cos(i), Math.sin(i)]

const commit = Effect.fnUntraced(function* (
  name: string,
  batch: ReturnType<typeof makeBatch> | undefined,
  files: Readonly<Record<string, string>> = {}
) {
  const store = yield* ArtifactStore
  const key = keyOf({ name })
  const draft = yield* store.begin(key)
  if (batch !== undefined)
    yield* draft.write("00000.arrow", encodeShard([batch]), { rows: batch.numRows, schema: schemaHash(batch.schema) })
  for (const [file, text] of Object.entries(files)) yield* draft.write(file, new TextEncoder().encode(text))
  yield* draft.commit({ type: "rows" })
  return key
}, Effect.scoped)

/** A row set as the runtime records it: each part a key and the columns that are found there. */
const indexed = (
  node: string,
  port: string,
  parts: ReadonlyArray<readonly [string, Readonly<Record<string, ColumnType>>]>
): StoredRows => {
  const stored = (name: string) => name.slice(name.lastIndexOf(".") + 1)
  const rows = {
    node,
    port,
    keys: [parts[0]![0]],
    columns: Object.assign({}, ...parts.map(([, columns]) => columns)) as StoredRows["columns"],
    parts: parts.map(([key, columns]) => ({
      shards: [{ key, names: Object.fromEntries(Object.keys(columns).map((name) => [name, stored(name)])) }]
    }))
  }
  return rows
}

const lines = (values: ReadonlyArray<unknown>) => values.map((value) => `${JSON.stringify(value)}\n`).join("")

const makeRun = Effect.gen(function* () {
  const pairs = yield* commit(
    "pairs",
    makeBatch({
      row_id: only(all),
      image: imageColumn(all.map((i) => ({ bytes: picture(i) }))),
      text: textColumn(all.map((i) => (i === 7 ? "<b>seven</b>" : `text ${i}`))),
      matched: flagColumn(all.map((i) => i % 2 === 0))
    }),
    { "rejected.jsonl": lines([{ row_id: idOf(0), shard: "s", row: 99, code: "R102", reason: "image not decodable" }]) }
  )
  const itm = yield* commit(
    "itm",
    makeBatch({ row_id: only(all), match_probability: scoreColumn(Float32Array.from(scores)) })
  )
  const captions = yield* commit(
    "captions",
    makeBatch({ row_id: only(all), caption: textColumn(all.map((i) => `made ${i}`)) })
  )
  const image = yield* commit(
    "image",
    makeBatch({ row_id: only(all), image_embeds: tensorColumn(Float32Array.from(all.flatMap(onCircle)), [2]) })
  )
  // The texts in another order of rows, one missing: joined by id.
  const shuffled = all.filter((i) => i !== 3).toReversed()
  const text = yield* commit(
    "text",
    makeBatch({ row_id: only(shuffled), text_embeds: tensorColumn(Float32Array.from(shuffled.flatMap(onCircle)), [2]) })
  )
  const keptKey = yield* commit("kept", makeBatch({ row_id: only(kept) }))
  const rejectedKey = yield* commit("rejected", makeBatch({ row_id: only(rejected) }), {
    "ledger.jsonl": lines(
      rejected.map((i) => ({ row_id: idOf(i), reason: `score ${scores[i]} under 0.5`, score: scores[i] }))
    )
  })
  const train = yield* commit("train", undefined, {
    "history.json": JSON.stringify([0, 1, 2].map((step) => ({ step, itc_loss: 3 - step, note: "x" })))
  })
  const passedOn = (own: string): Parameters<typeof indexed>[2] => [
    [own, {}],
    [pairs, { image: "image", text: "text", matched: "flag" }],
    [itm, { match_probability: "score" }]
  ]
  const wire = (input: string, from: string, port = "pairs") => ({ input, from, port })
  const drawn = (id: string, op: string, kind: string, inputs: ReadonlyArray<ReturnType<typeof wire>>) => ({
    id,
    op,
    kind,
    axes: {},
    inputs
  })
  const node = { op: "", rows_in: n, rows_out: n, rejected: 0, cached: false, seconds: 1, artifact: "ab", ports: {} }
  const record: RunRecord = {
    run: "r1",
    pipeline: "p",
    plan: "f".repeat(64),
    status: "done",
    seed: 1,
    engine: "onnx",
    started: "2026-01-01T00:00:00Z",
    seconds: 1,
    nodes: {
      web: { ...node, rejected: 1 },
      clean: { ...node, ports: { kept: kept.length, rejected: rejected.length } }
    },
    metrics: {},
    rows: [
      indexed("web", "pairs", [
        [pairs, { image: "image", text: "text", matched: "flag" }],
        [itm, { "itm.match_probability": "score" }],
        [captions, { "captions.caption": "text" }],
        [image, { "image.image_embeds": "embedding" }],
        [text, { "words.text_embeds": "embedding" }]
      ]),
      indexed("clean", "kept", passedOn(keptKey)),
      indexed("clean", "rejected", passedOn(rejectedKey))
    ],
    artifacts: [{ node: "train", output: "model", type: "model", key: train }],
    graph: [
      drawn("web", "ReadPairs", "source", []),
      drawn("itm", "ITM", "map", [wire("image", "web"), wire("text", "web")]),
      drawn("captions", "Captioner", "map", [wire("image", "web")]),
      drawn("image", "ImageEncoder", "map", [wire("image", "web")]),
      drawn("words", "TextEncoder", "map", [wire("text", "web")]),
      drawn("clean", "Filter", "route", [wire("image", "web"), wire("text", "web"), wire("match_probability", "itm")]),
      drawn("train", "Train", "train", [wire("pairs", "clean", "kept")])
    ]
  }
  return record
})

const reportStore = (store: ArtifactStore["Service"]) =>
  makeReportStore(store, (stored, columns) =>
    Effect.provideService(openStoredRows(stored, columns), ArtifactStore, store)
  )

const gathered = Effect.gen(function* () {
  const record = yield* makeRun
  const found = yield* gather(record, reportStore(yield* ArtifactStore))
  return { record, ...found }
})

describe("StoredReport", () => {
  it.effect("reads filters, galleries, histories and rejected rows from the store", () =>
    Effect.gen(function* () {
      const { filters, galleries, histories, rejections, notes } = yield* gathered
      assert.deepStrictEqual(notes, [])
      assert.strictEqual(filters.length, 1)
      const q = quality(filters[0]!)
      assert.deepStrictEqual([q.rows, q.kept, q.matched, q.precision], [40, 20, 20, 0.5])
      assert.strictEqual(filters[0]!.scoreName, "match_probability")
      assert.deepStrictEqual(histories[0]!.entries[2], { step: 2, itc_loss: 1 })
      assert.deepStrictEqual(rejections, [{ node: "web", code: "R102", reason: "image not decodable", rows: 1 }])
      assert.deepStrictEqual(
        galleries.map((gallery) => [gallery.title, gallery.cards.length]),
        [
          ["clean: kept", 8],
          ["clean: rejected", 8],
          ["captions: synthetic captions beside what came with the image", 8],
          ["image: nearest of 39 texts", 8]
        ]
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("shows kept rows by score, rejected rows with their reason, and the true text among the nearest", () =>
    Effect.gen(function* () {
      const { galleries } = yield* gathered
      const [best] = galleries[0]!.cards
      assert.deepStrictEqual(best!.lines, [
        { text: "text 39" },
        { label: "match_probability", text: "0.975", tone: "good" },
        { label: "matched", text: "no", tone: "quiet" }
      ])
      assert.match(best!.image!, /^data:image\/png;base64,/)
      assert.strictEqual(galleries[1]!.cards[0]!.lines[1]!.text, "score 0.475 under 0.5")
      assert.strictEqual(galleries[2]!.cards[0]!.lines[0]!.text, "made 0")
      for (const card of galleries[3]!.cards) assert.strictEqual(card.lines[0]!.tone, "good")
    }).pipe(Effect.provide(layer))
  )

  it.effect("makes a page even where an artifact is gone, and says so", () =>
    Effect.gen(function* () {
      const { record } = yield* gathered
      const store = yield* ArtifactStore
      yield* store.remove(keyOf({ name: "itm" }))
      const found = yield* gather(record, reportStore(store))
      assert.isTrue(found.notes.some((note) => note.includes("run the pipeline again")))
      const page = renderPage({ record, environment: [], ...found })
      assert.include(page, "run the pipeline again")
    }).pipe(Effect.provide(layer))
  )
})

describe("Png", () => {
  it.effect("decodes to the pixels that were encoded", () =>
    Effect.gen(function* () {
      const random = uniform(5)
      const data = Uint8Array.from({ length: 31 * 17 * 3 }, () => Math.floor(256 * random()))
      const back = yield* decodeImage(encodePng(31, 17, data))
      assert.deepStrictEqual([back.width, back.height], [31, 17])
      assert.deepStrictEqual(Uint8Array.from(back.data), data)
    })
  )
})
