/**
 * R21: a source that could give everything at once, read by a node that takes its time. The source waits: at most two batches
 * stand in the queue between them and four in somebody's hands, however long the data is.
 */
import { ArtifactStore, columnOf, Files, floatsOf, scoreColumn } from "@bootlace/data"
import { Operator, readPipeline } from "@bootlace/graph"
import { Progress, runPlan } from "@bootlace/runtime"
import { Effect, Layer, Schema } from "effect"
import { afterEach, assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { calls, knobs, registry, resetCalls, resetKnobs } from "../../packages/runtime/test/operators.ts"
import { figure, patience, times } from "./torture.ts"

afterEach(resetKnobs)

/** `Stream.buffer` of a pass. */
const queue_size = 2
/** Batches in somebody's hands: three steps of the source's stream hold one each, and the node has one at work. */
const inHands = 4

let most = 0
let taken = 0

/** Takes 2 ms for every batch and keeps count of those that came before they were asked for. */
const Slow = Operator.map({
  name: "Slow",
  version: 1,
  description: "Takes its time.",
  config: Schema.Struct({}),
  inputs: { value: "score" },
  outputs: { out: "score" },
  body: {
    open: () =>
      Effect.succeed((batch) =>
        Effect.gen(function* () {
          yield* Effect.sleep(2)
          most = Math.max(most, calls["Numbers.given"]! - taken)
          taken += 1
          return { columns: { out: scoreColumn(floatsOf(columnOf(batch, "value"))) }, rejected: [] }
        })
      )
  }
})

describe("a slow consumer", () => {
  it(
    "R21: holds a fast source back",
    async () => {
      const batches = times(1_500)
      const yaml = `
version: 1
name: slow
seed: 1
nodes:
  rows: { op: Numbers, shards: 1, rows: ${batches} }
  slow: { op: Slow, in: { value: rows.value } }
  sum:  { op: Sum, in: { score: slow.out } }
`
      resetCalls()
      knobs.batch = () => 1
      const services = Layer.mergeAll(
        Layer.provideMerge(ArtifactStore.layer("/disk/store"), Layer.succeed(Files, makeMemoryDisk().files)),
        Progress.layer
      )
      const record = await readPipeline(yaml, { file: "slow.yaml", registry: { ...registry, Slow } }).pipe(
        Effect.flatMap((plan) => runPlan(plan)),
        Effect.provide(services),
        Effect.runPromise
      )
      assert.strictEqual(record.metrics["sum.rows"], batches)
      assert.strictEqual(taken, batches)
      assert.isAtLeast(most, 1)
      assert.isAtMost(most, queue_size + inHands)
      figure(
        "R21",
        `at most ${most} of ${batches} batches alive between source and node (queue ${queue_size}, in hands ${inHands})`
      )
    },
    patience(60_000)
  )
})
