import { assert, describe, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { copyFileSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { columnOf, Files, imagesOf, intsOf, openPairs, rowIdHex, rowIdsOf, textsOf } from "../src/index.ts"
import type { PairOptions, RejectedRow } from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const fixtures = new URL("./fixtures/", import.meta.url).pathname
const parityImages = new URL("../../../test/parity/images/", import.meta.url).pathname
const picture = (name: string): Buffer => readFileSync(parityImages + name)

const readAll = Effect.fnUntraced(function* (path: string, options: PairOptions = {}) {
  const source = yield* openPairs(path, options)
  const batches = yield* Effect.forEach(source.shards, (_, shard) => Stream.runCollect(source.read(shard)))
  const flat = batches.flat()
  return {
    content: source.content,
    shardRows: source.shards.map(({ rows }) => rows),
    rejected: flat.flatMap(({ rejected }) => [...rejected]),
    texts: flat.flatMap(({ batch }) => [...textsOf(columnOf(batch, "text"))]),
    paths: flat.flatMap(({ batch }) => imagesOf(columnOf(batch, "image")).map((image) => image?.path)),
    ids: flat.flatMap(({ batch }) => Array.from({ length: batch.numRows }, (_, i) => rowIdHex(rowIdsOf(batch), i))),
    batches: flat.map(({ batch }) => batch)
  }
}, Effect.scoped)

const codes = (rejected: ReadonlyArray<RejectedRow>): ReadonlyArray<string> =>
  rejected.map(({ row, code }) => `${row} ${code}`)

describe("pairs from files of other tools", () => {
  const cases = [
    ["pairs.parquet", [2, 2, 1], ["1 BadImage", "0 EmptyText"]],
    ["zstd.parquet", [5], ["3 BadImage", "4 EmptyText"]],
    ["pairs.arrow", [5], ["3 BadImage", "4 EmptyText"]],
    ["stream.arrow", [5], ["3 BadImage", "4 EmptyText"]],
    ["saved", [5], ["3 BadImage", "4 EmptyText"]]
  ] as const
  it.effect.each(cases)("%s", ([name, shardRows, rejected]) =>
    Effect.gen(function* () {
      const read = yield* readAll(fixtures + name, { columns: { label: "label" } })
      assert.deepStrictEqual(read.shardRows, [...shardRows])
      assert.deepStrictEqual(read.texts, ["a red dog", "zwei Hunde", "\u4e09\u53ea\u72d7"])
      assert.deepStrictEqual(read.paths, ["0.png", "1.png", "2.png"])
      assert.deepStrictEqual(codes(read.rejected), [...rejected])
      assert.deepStrictEqual(
        read.batches.flatMap((batch) => [...intsOf(columnOf(batch, "label"))]),
        [0, 1, 2]
      )
      assert.strictEqual(new Set(read.ids).size, 3)
    }).pipe(Effect.provide(Files.layer))
  )

  it.effect("give the same ids and content wherever they lie and however they are batched", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder({ "data/a.txt": "" })
      copyFileSync(`${fixtures}pairs.parquet`, join(folder, "data/train-00000-of-00001.parquet"))
      const here = yield* readAll(`${fixtures}pairs.parquet`)
      const there = yield* readAll(folder, { batch_rows: 1 })
      assert.strictEqual(here.content, there.content)
      assert.deepStrictEqual(here.ids, there.ids)
      assert.deepStrictEqual(here.rejected, there.rejected)
      copyFileSync(`${fixtures}pairs.parquet`, join(folder, "data/train-00001-of-00002.parquet"))
      const twice = yield* readAll(folder)
      assert.strictEqual(new Set(twice.ids).size, 6)
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("name the column that is missing, and those that are there", () =>
    Effect.gen(function* () {
      const missing = yield* Effect.flip(readAll(`${fixtures}pairs.parquet`, { text_column: "txt" }))
      assert.include(missing.message, "no column for text; expected txt, got image, text, label")
      assert.include(missing.message, "hint: say which column is the text")
      const wrong = yield* Effect.flip(readAll(`${fixtures}pairs.parquet`, { text_column: "label" }))
      assert.include(wrong.message, "column text; expected text, got the bigint 0")
      assert.strictEqual((yield* Effect.flip(readAll(`${fixtures}nothing`))).code, "Missing")
      assert.strictEqual((yield* Effect.flip(readAll(`${fixtures}processes`))).code, "UnknownFormat")
    }).pipe(Effect.provide(Files.layer))
  )
})

const folderOfImages = (metadata: Readonly<Record<string, string>>) =>
  temporaryFolder({
    ...metadata,
    "a.png": picture("rgb_37x53.png"),
    "sub/b.jpg": picture("gray_61x83.jpg"),
    "broken.jpg": picture("gray_61x83.jpg").subarray(0, 700),
    "page.png": "<!doctype html><p>404</p>"
  })

describe("pairs from a folder of images", () => {
  const row = (file_name: string, text: unknown) => `${JSON.stringify({ file_name, text })}\n`
  const rows = [
    ["a.png", 'one, "quoted"'],
    ["sub/b.jpg", "two"],
    ["broken.jpg", "cut"],
    ["page.png", "not an image"],
    ["gone.png", "no such file"],
    ["../outside.png", "leads out"],
    ["a.png", ""],
    ["a.png", "x".repeat(65_537)]
  ] as const
  const expected = ["2 BadImage", "3 UnknownImage", "4 Missing", "5 OutsideRoot", "6 EmptyText", "7 OverLimit"]
  const csvField = (text: string) => `"${text.replaceAll('"', '""')}"`
  const files = {
    "metadata.jsonl": rows.map(([name, text]) => row(name, text)).join(""),
    "metadata.csv": `file_name,caption\r\n${rows.map(([name, text]) => `${name},${csvField(text)}\r\n`).join("")}`
  }
  it.effect.each(Object.entries(files))("by %s", ([name, content]) =>
    Effect.gen(function* () {
      const folder = yield* folderOfImages({ [name]: content })
      const read = yield* readAll(folder)
      assert.deepStrictEqual(read.texts, ['one, "quoted"', "two"])
      assert.deepStrictEqual(read.paths, ["a.png", "sub/b.jpg"])
      assert.deepStrictEqual(codes(read.rejected), expected)
      const reasons = read.rejected.map(({ reason }) => reason).join("\n")
      assert.notInclude(reasons, folder)
      assert.include(reasons, "expected JPEG, PNG or WebP, got an HTML page")
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("by texts beside the images", () =>
    Effect.gen(function* () {
      const folder = yield* folderOfImages({
        "a.txt": "one\n",
        "sub/b.txt": "two",
        "broken.txt": "cut",
        "page.txt": "\u0000",
        "alone.txt": "no image"
      })
      writeFileSync(join(folder, "page.txt"), Uint8Array.of(0xff, 0xfe))
      const read = yield* readAll(folder)
      assert.deepStrictEqual(read.texts, ["one", "two"])
      assert.deepStrictEqual(codes(read.rejected), ["1 BadImage", "2 BadText"])
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("keep their content when the folder moves, and change it with any image or text", () =>
    Effect.gen(function* () {
      const metadata = { "metadata.jsonl": row("a.png", "one") + row("sub/b.jpg", "two") }
      const first = yield* folderOfImages(metadata)
      const second = yield* folderOfImages(metadata)
      const before = yield* readAll(first)
      assert.strictEqual((yield* readAll(second)).content, before.content)
      writeFileSync(join(second, "sub/b.jpg"), picture("rgb_91x40.png"))
      assert.notStrictEqual((yield* readAll(second)).content, before.content)
      const third = yield* folderOfImages({ "metadata.jsonl": row("a.png", "One") + row("sub/b.jpg", "two") })
      assert.notStrictEqual((yield* readAll(third)).content, before.content)
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("do not follow links that lead out", () =>
    Effect.gen(function* () {
      const secret = yield* temporaryFolder({ "secret.png": picture("rgb_37x53.png") })
      const folder = yield* folderOfImages({ "metadata.jsonl": row("link.png", "one") + row("away/secret.png", "two") })
      symlinkSync(join(secret, "secret.png"), join(folder, "link.png"))
      symlinkSync(secret, join(folder, "away"))
      rmSync(join(folder, "sub"), { recursive: true })
      const error = yield* Effect.flip(readAll(folder))
      assert.strictEqual(error.code, "OutsideRoot")
      rmSync(join(folder, "away"))
      const read = yield* readAll(folder)
      assert.deepStrictEqual(codes(read.rejected), ["0 OutsideRoot", "1 Missing"])
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("say what is wrong with their metadata", () =>
    Effect.gen(function* () {
      const fail = Effect.fnUntraced(function* (files: Readonly<Record<string, string>>) {
        return (yield* Effect.flip(readAll(yield* folderOfImages(files)))).message
      })
      assert.include(yield* fail({}), "images without texts; expected metadata.jsonl or metadata.csv")
      assert.include(yield* fail({ "metadata.jsonl": '{"file":"a.png"}' }), "no column file_name")
      assert.include(
        yield* fail({ "metadata.jsonl": '{"file_name":"a.png"}' }),
        "no column for text; expected text or caption"
      )
      assert.include(yield* fail({ "metadata.jsonl": '{"file_name":"a.png","text":' }), "metadata.jsonl row=0")
      assert.include(yield* fail({ "metadata.jsonl": '{"text":"a","text":"b"}' }), 'key "text" stands twice')
      assert.include(yield* fail({ "metadata.csv": "file_name,text\na.png\n" }), "row has 1 fields, the head has 2")
      assert.include(yield* fail({ "metadata.csv": 'file_name,text\na.png,"x' }), "line 2: a quote is not closed")
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )
})
