import { assert, describe, it } from "@effect/vitest"
import { canonicalJson, Files, sha256 } from "@bootlace/data"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readKeys, readRun } from "../src/index.ts"
import { run, temporaryFolder } from "./pipelines.ts"

const pipeline = `
version: 1
name: counted
seed: 1
nodes:
  rows:   { op: Numbers, shards: 2, rows: 20, bad: 10 }
  length: { op: Measure, in: { text: rows.text }, refuse: 7 }
  embed:  { op: Embed, in: { value: rows.value } }
  split:  { op: Split, in: { value: rows.value, text: rows.text } }
`

interface Counts {
  readonly rows_in: number
  readonly rows: number
  readonly rejected: number
}

/** Changes the counts in a manifest and seals it again, as somebody with a will could. */
const forged = (text: string, key: string, change: (counts: Counts) => Counts): string => {
  const [head, ...files] = text.trimEnd().split("\n").slice(0, -1)
  const { meta } = JSON.parse(head!) as { readonly meta: { readonly counts: Counts } }
  const lines = [canonicalJson({ meta: { ...meta, counts: change(meta.counts) } }), ...files]
  const body = lines.map((line) => `${line}\n`).join("")
  return `${body}${canonicalJson({ digest: sha256(body), key })}\n`
}

const forgeries: ReadonlyArray<readonly [node: string, change: (counts: Counts) => Counts, said: RegExp]> = [
  ["rows", (c) => ({ ...c, rows_in: c.rows_in + 1 }), /41 rows came in, but 36 went out \(rows\) .* 4 .*: together 40/],
  ["length", (c) => ({ ...c, rejected: c.rejected - 2 }), /36 rows came in, .* 4 were rejected: together 34/],
  ["embed", (c) => ({ ...c, rows_in: c.rows_in - 3, rejected: -3 }), /33 rows came in, but rows\.rows has 36/],
  ["split", (c) => ({ ...c, rows: c.rows - 1 }), /35 rows are counted, its files hold 36/]
]

describe("CountCheck", () => {
  it.live("R426 names the node and both figures where a manifest was forged, and nothing where none was", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* run(store, pipeline)
      const keys = (yield* readKeys(store, first.run))!
      for (const [node, change, said] of forgeries) {
        const key = keys[node]!.keys[0]!
        const file = join(store, "artifacts", key, "manifest.jsonl")
        const text = readFileSync(file, "utf8")
        writeFileSync(file, forged(text, key, change))
        const error = yield* Effect.flip(run(store, pipeline))
        assert.deepStrictEqual([error.code, error.node], ["R426", node])
        assert.match(error.message, said)
        assert.include(error.message, key.slice(0, 12))
        writeFileSync(file, text)
      }
      const again = yield* run(store, pipeline)
      assert.strictEqual((yield* readRun(store, again.run))!.status, "done")
    }).pipe(Effect.provide(Files.layer))
  )
})
