/**
 * R21: a source that could give everything at once, read by a node that takes its time over each of 10,000 batches. The source
 * waits: at most two batches stand in the queue between them and four in somebody's hands, however long the data is.
 *
 * The node's time is virtual: over each batch it waits until the source has gone as far as it is let go. A batch is 100 KiB, so
 * memory tells as well.
 */
import { ArtifactStore, columnOf, Files, floatsOf, makeBatch, scoreColumn, sha256, tensorColumn } from "@bootlace/data"
import { Operator, readPipeline } from "@bootlace/graph"
import { Progress, runPlan } from "@bootlace/runtime"
import { Effect, Layer, Schema, Stream } from "effect"
import { setImmediate } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { registry } from "../../packages/runtime/test/operators.ts"
import { figure, patience, times } from "./torture.ts"

/** `Stream.buffer` of a pass. */
const queue_size = 2
/** Batches in somebody's hands: three steps of the source's stream hold one each, and the node has one at work. */
const inHands = 4
const floats = 25_600

let given = 0
let taken = 0
let most = 0
let peak_rss = 0

/** A row a batch. */
const Fast = Operator.source({
  name: "Fast",
  version: 1,
  description: "Gives all at once.",
  config: Schema.Struct({ batches: Schema.Int }),
  inputs: {},
  ports: { rows: { wide: "image_tokens" } },
  body: {
    open: ({ config: { batches } }) => {
      const batch = () => {
        given += 1
        const values = new Float32Array(floats).fill(given)
        return { batch: makeBatch({ wide: tensorColumn(values, [1, floats]) }), rejected: [] }
      }
      const key = sha256(`fast ${batches}`)
      const read = () => Stream.range(1, batches, 1).pipe(Stream.map(batch))
      return Effect.succeed({ content: key, shards: [{ key, rows: batches }], read })
    }
  }
})

/** Until the source gives nothing more for a while. */
const untilStuck = async (): Promise<void> => {
  for (let quiet = 0; quiet < 3;) {
    const before = given
    await setImmediate()
    quiet = given === before ? quiet + 1 : 0
  }
}

const Slow = Operator.map({
  name: "Slow",
  version: 1,
  description: "Takes its time.",
  config: Schema.Struct({}),
  inputs: { wide: "image_tokens" },
  outputs: { out: "score" },
  body: {
    open: () =>
      Effect.succeed((batch) =>
        Effect.promise(async () => {
          await untilStuck()
          most = Math.max(most, given - taken)
          peak_rss = Math.max(peak_rss, process.memoryUsage.rss())
          taken += batch.numRows
          const values = floatsOf(columnOf(batch, "wide"))
          const first = Float32Array.from({ length: batch.numRows }, (_, row) => values[row * floats]!)
          return { columns: { out: scoreColumn(first) }, rejected: [] }
        })
      )
  }
})

const yamlOf = (batches: number): string => `
version: 1
name: slow
seed: 1
nodes:
  rows: { op: Fast, batches: ${batches} }
  slow: { op: Slow, in: { wide: rows.wide } }
  sum:  { op: Sum, in: { score: slow.out } }
`

const run = (batches: number) => {
  given = 0
  taken = 0
  const services = Layer.mergeAll(
    Layer.provideMerge(ArtifactStore.layer("/disk/store"), Layer.succeed(Files, makeMemoryDisk().files)),
    Progress.layer
  )
  return readPipeline(yamlOf(batches), { file: "slow.yaml", registry: { ...registry, Fast, Slow } }).pipe(
    Effect.flatMap((plan) => runPlan(plan)),
    Effect.provide(services),
    Effect.runPromise
  )
}

describe("a slow consumer", () => {
  it(
    "R21: holds a fast source back",
    async () => {
      // Compiles the code and grows the heap to what it needs anyway.
      await run(500)
      peak_rss = 0
      const before = process.memoryUsage.rss()
      const batches = times(10_000)
      const record = await run(batches)
      assert.strictEqual(record.metrics["sum.rows"], batches)
      assert.strictEqual(taken, batches)
      assert.isAtLeast(most, queue_size)
      assert.isAtMost(most, queue_size + inHands)
      const mib = (bytes: number): number => bytes / 2 ** 20
      const [grown, all] = [mib(peak_rss - before), mib(batches * floats * 4)]
      // What is collected now and then, and what the run keeps of every row: not the batches.
      assert.isBelow(grown, all / 4)
      figure(
        "R21",
        `at most ${most} of ${batches} batches alive between source and node (queue ${queue_size}, in hands ${inHands}); resident memory grew by ${grown.toFixed(0)} MiB over ${all.toFixed(0)} MiB of batches`
      )
    },
    patience(600_000)
  )
})
