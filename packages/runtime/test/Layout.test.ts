import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { layoutOf, wantedColumns } from "../src/Layout.ts"
import type { Stage } from "../src/Layout.ts"
import { everything, planOf } from "./pipelines.ts"

const said = (stage: Stage): string =>
  stage._tag === "Chain"
    ? `${stage.rowSet}: ${stage.nodes.map(({ id }) => id).join(" ")}${stage.again.map(({ id }) => ` (${id})`).join("")}`
    : stage.node.id

const laid = (yaml: string) => Effect.map(planOf(yaml), layoutOf)

describe("Layout", () => {
  it.effect("puts what can run in one pass into one chain, and what must wait after it", () =>
    Effect.gen(function* () {
      const { stages } = yield* laid(everything)
      assert.deepStrictEqual(stages.map(said), [
        "left.rows: left embed length token",
        "right.rows: right",
        "start",
        "median",
        "words",
        "left.rows: split",
        "split.high: again",
        "learn",
        "both.rows: size",
        "again.rows: echo",
        "total",
        "sum"
      ])
    })
  )

  it.effect("stores of a port what others read", () =>
    Effect.gen(function* () {
      const { rowSet } = yield* laid(everything)
      assert.deepStrictEqual(rowSet("left.rows").stored, ["text"])
      assert.deepStrictEqual(rowSet("right.rows").stored, ["text"])
      assert.deepStrictEqual(rowSet("split.high").stored, ["text"])
      assert.deepStrictEqual(rowSet("again.rows").stored, ["again"])
      assert.deepStrictEqual(rowSet("both.rows").stored, [])
    })
  )

  it.effect("streams a source into its only pass, however late that is", () =>
    Effect.gen(function* () {
      const late = yield* laid(`
version: 1
name: late
seed: 1
nodes:
  first:  { op: Numbers }
  median: { op: Median, in: { value: first.value } }
  second: { op: Numbers, word: other }
  split:  { op: Split, in: { value: second.value, threshold: median.threshold, text: second.text } }
`)
      assert.deepStrictEqual(late.stages.map(said), ["first.rows: first", "median", "second.rows: second split"])
      assert.deepStrictEqual(late.rowSet("second.rows").stored, [])
      assert.deepStrictEqual(late.rowSet("first.rows").stored, ["value"])
    })
  )

  it.effect("runs a map again in the later pass that reads what it doesn't store", () =>
    Effect.gen(function* () {
      const { stages, rowSet } = yield* laid(`
version: 1
name: again
seed: 1
nodes:
  rows:   { op: Numbers }
  embed:  { op: Embed, in: { value: rows.value } }
  median: { op: Median, in: { value: rows.value } }
  split:  { op: Split, in: { value: rows.value, threshold: median.threshold } }
  size:   { op: Sum, in: { score: split.high.value } }
  token:  { op: Late, in: { tokens: embed.tokens, threshold: median.threshold } }
`)
      assert.includeMembers(stages.map(said), ["rows.rows: rows embed", "rows.rows: split token (embed)"])
      assert.deepStrictEqual(rowSet("rows.rows").stored, ["value"])
    })
  )

  it.effect("wants of a map what is stored, and what is read of it or of one that could do its work", () =>
    Effect.gen(function* () {
      const wanted = Effect.fnUntraced(function* (more: string) {
        const layout = yield* laid(`
version: 1
name: wanted
seed: 1
nodes:
  rows:  { op: Numbers }
  embed: { op: Embed, in: { value: rows.value } }
${more}`)
        return wantedColumns(layout, layout.node("embed"))
      })
      const twin = "  embed2: { op: Embed, in: { value: rows.value } }\n"
      assert.deepStrictEqual(yield* wanted(""), ["embedding"])
      assert.deepStrictEqual(yield* wanted(twin), ["embedding"])
      const all = ["embedding", "tokens"]
      assert.deepStrictEqual(yield* wanted("  token: { op: TokenScore, in: { tokens: embed.tokens } }\n"), all)
      assert.deepStrictEqual(yield* wanted(`${twin}  token: { op: TokenScore, in: { tokens: embed2.tokens } }\n`), all)
    })
  )
})
