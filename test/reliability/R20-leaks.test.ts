/**
 * R20: an operator over batch after batch. Executed operation by operation, the number of tensors stays what it was; compiled,
 * where memory is outside of JavaScript, the process stops growing.
 */
import { imageColumn, tensorColumn, textColumn } from "@bootlace/data"
import { ImageEncoder, ITC, ITM, TextEncoder } from "@bootlace/operators"
import type { AnyOperator, Artifact } from "@bootlace/graph"
import { engine } from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "vitest"
import { contextOf, rowsOf, runIn } from "../../packages/operators/test/inMemory.ts"
import type { Columns } from "../../packages/operators/test/inMemory.ts"
import { eager, images, newModel, onnx, texts } from "../../packages/operators/test/tinyPairs.ts"
import { figure, patience, times } from "./torture.ts"

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const waves = (rows: number, ...shape: ReadonlyArray<number>) =>
  tensorColumn(
    Float32Array.from({ length: shape.reduce((size, side) => size * side, rows) }, (_, i) => Math.sin(i)),
    shape
  )
const text = textColumn(texts.slice(0, 4))

const [clip, blip] = [await newModel("clip"), await newModel("blip")]
const cases: ReadonlyArray<readonly [AnyOperator, Readonly<Record<string, Artifact>>, Columns]> = [
  [ImageEncoder, { model: clip }, { image: imageColumn(images.slice(0, 4)) }],
  [TextEncoder, { model: clip }, { text }],
  [ITC, {}, { image_embeds: waves(4, 8), text_embeds: waves(4, 8) }],
  [ITM, { model: blip }, { image_tokens: waves(4, 5, 32), text }]
]

/** Bytes of the process after collecting what is garbage. */
const weight = (): number => {
  collect()
  collect()
  return process.memoryUsage.rss()
}

/** Allocators take what they need over the first hundreds of batches. */
const warmups = 3

/** Calls the operator over the same rows, `batches` times between two looks. */
const looked = <A>(given: (typeof cases)[number], layer: typeof onnx, batches: number, look: () => A) => {
  const [operator, artifacts, columns] = given
  const config = operator === ITC ? {} : { batch_size: 4 }
  const calls = Effect.gen(function* () {
    const context = yield* contextOf(operator, { config, artifacts })
    const body = yield* (operator as typeof TextEncoder).body.open(context as never)
    const rows = rowsOf(columns)
    const many = Effect.repeat(body(rows), { times: batches - 1 })
    yield* Effect.repeat(many, { times: warmups - 1 })
    const before = look()
    yield* many
    return [before, look()] as const
  })
  return runIn({ layer }, calls)
}

describe("batch after batch", () => {
  it(
    "R20: no tensor is left behind",
    async () => {
      const batches = times(30)
      for (const given of cases) {
        const [before, after] = await looked(given, eager, batches, () => engine().state.numTensors)
        assert.strictEqual(after, before, given[0].name)
      }
      figure("R20", `0 tensors left behind by ${cases.length} operators over ${batches} batches each`)
    },
    patience(60_000)
  )

  it(
    "R20: the compiled engine stops growing",
    async () => {
      const batches = times(250)
      const grown: Array<string> = []
      for (const given of cases) {
        const [before, after] = await looked(given, onnx, batches, weight)
        const MiB = (after - before) / 1024 / 1024
        // 1 MiB in 1,000 batches is promised; a process in a test breathes by some MiB.
        assert.isBelow(MiB, 10, given[0].name)
        grown.push(`${given[0].name} ${MiB.toFixed(1)}`)
      }
      figure(
        "R20",
        `MiB that the process grew in ${batches} batches after ${warmups * batches} to warm up: ${grown.join(", ")}`
      )
    },
    patience(120_000)
  )
})
