/**
 * Rows through ten nodes without a model: nine maps, each adding one to the column of the one before, and a route that keeps
 * every row, in batches of 1,024 rows of one float32 column. A row is counted once, not once per node.
 *
 *   node bench/data/RowRate.ts chain BATCHES   from batches with row ids to the last node's answer; reading and storing are left out
 *   node bench/data/RowRate.ts run BATCHES     the whole run: source, row ids, the columns of all nodes encoded, hashed and written
 *
 * Prints one JSON line {seconds, mb, outputs}. Seconds are those of the processor (user and system), so that other work on the
 * machine doesn't count. The chain's outputs: `growth_mb`, by how much its memory has grown after a tenth of the batches.
 */
import {
  ArtifactStore,
  columnOf,
  Files,
  floatsOf,
  makeBatch,
  rowIdVector,
  scoreColumn,
  sha256,
  sourceRowIds
} from "@bootlace/data"
import { Operator, readPipeline } from "@bootlace/graph"
import type { Plan, PlanNode, Source } from "@bootlace/graph"
import { Progress, runPlan } from "@bootlace/runtime"
import { Effect, Layer, Schema, Stream } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openBodies } from "../../packages/runtime/src/Bodies.ts"
import { Inbox } from "../../packages/runtime/src/Inbox.ts"
import { Keys } from "../../packages/runtime/src/Keys.ts"
import { layoutOf } from "../../packages/runtime/src/Layout.ts"
import { driveWorkers } from "../../packages/runtime/src/Pass.ts"
import { Recorder } from "../../packages/runtime/src/Recorder.ts"
import { defaultSettings } from "../../packages/runtime/src/Session.ts"
import type { Session } from "../../packages/runtime/src/Session.ts"
import { lanesFor } from "../../packages/runtime/src/ShardRows.ts"

const batchRows = 1024
const values = scoreColumn(Float32Array.from({ length: batchRows }, (_, row) => row))

/** One batch, again and again. */
const numbers = (batches: number): Source<never> => ({
  content: sha256(String(batches)),
  shards: [{ key: sha256(String(batches)), rows: batches * batchRows }],
  read: () => {
    const batch = makeBatch({ value: values })
    return Stream.fromIterable(
      Array.from({ length: batches }, () => ({ batch, rejected: [] })),
      { chunkSize: 1 }
    )
  }
})

const Numbers = Operator.source({
  name: "Numbers",
  version: 1,
  description: "Numbers.",
  config: Schema.Struct({ batches: Schema.Int }),
  inputs: {},
  ports: { rows: { value: "score" } },
  body: { open: ({ config }) => Effect.succeed(numbers(config.batches)) }
})

const Add = Operator.map({
  name: "Add",
  version: 1,
  description: "Adds one.",
  config: Schema.Struct({}),
  inputs: { value: "score" },
  outputs: { value: "score" },
  body: {
    open: () =>
      Effect.succeed((batch) =>
        Effect.sync(() => {
          const values = floatsOf(columnOf(batch, "value"))
          const { length } = values
          const sums = new Float32Array(length)
          for (let row = 0; row < length; row++) sums[row] = values[row]! + 1
          return { columns: { value: scoreColumn(sums) }, rejected: [] }
        })
      )
  }
})

const Keep = Operator.route({
  name: "Keep",
  version: 1,
  description: "Keeps every row.",
  config: Schema.Struct({}),
  inputs: { value: "score" },
  ports: ["kept", "rejected"],
  body: {
    open: () => Effect.succeed((batch) => Effect.sync(() => ({ ports: new Uint8Array(batch.numRows), reasons: [] })))
  }
})

const planOf = (batches: number) => {
  const adds = Array.from({ length: 8 }, (_, i) => `  add${i + 1}: { op: Add, in: { value: add${i}.value } }`)
  const yaml = `
version: 1
name: ten-nodes
seed: 1
nodes:
  numbers: { op: Numbers, batches: ${batches} }
  add0: { op: Add, in: { value: numbers.value } }
${adds.join("\n")}
  keep: { op: Keep, in: { value: add8.value } }
`
  return readPipeline(yaml, { file: "ten-nodes.yaml", registry: { Numbers, Add, Keep } })
}

const seconds = <A, E, R>(work: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const begin = process.cpuUsage()
    return Effect.map(work, () => {
      const { user, system } = process.cpuUsage(begin)
      return (user + system) / 1e6
    })
  })

/** The nodes after the source at work on batches that have their row ids. */
const chain = Effect.fnUntraced(function* (plan: Plan, batches: number) {
  const layout = layoutOf(plan)
  const [numbersNode, ...nodes] = plan.nodes as [PlanNode, ...Array<PlanNode>]
  const source = numbers(batches)
  const keys = new Keys(
    layout,
    { source: () => source, content: () => undefined, artifact: () => ({}) as never },
    "none"
  )
  const session: Session = {
    layout,
    keys,
    store: yield* ArtifactStore,
    settings: defaultSettings,
    sources: new Map([[numbersNode.id, source]]),
    artifacts: new Map(),
    recorder: new Recorder(layout, keys, yield* Progress, undefined),
    doTask: ({ work }) => Effect.asVoid(work)
  }
  const bodies = yield* openBodies<never>(session)
  const workers = yield* Effect.forEach(nodes, (node) => {
    const lanes = lanesFor(layout, { value: node.inputs["value"]![0]! })
    const columns = lanes.map((lane) => lane.columns)
    return Effect.map(bodies(node), (run) => ({
      node,
      lanes,
      inbox: new Inbox(columns, undefined),
      run,
      output: undefined
    }))
  })
  const [shard] = keys.shards("numbers.rows")
  const batch = makeBatch({ row_id: rowIdVector(sourceRowIds("numbers", 0, batchRows)), value: values })
  const arrivals = Stream.fromIterable(
    Array.from({ length: batches }, () => ({ batch, rejected: [] })),
    { chunkSize: 1 }
  )
  return yield* seconds(driveWorkers(session, shard!, workers, undefined, arrivals))
}, Effect.scoped)

const [mode, count] = process.argv.slice(2)
const batches = Number(count)
const folder = await mkdtemp(join(tmpdir(), "bootlace-bench-"))
const services = Layer.mergeAll(Layer.provideMerge(ArtifactStore.layer(folder), Files.layer), Progress.layer)

const measured = Effect.gen(function* () {
  if (mode === "run") return { seconds: [yield* seconds(runPlan(yield* planOf(batches)))], outputs: {} }
  const tenth = Math.ceil(batches / 10)
  // Warms up, too.
  yield* chain(yield* planOf(tenth), tenth)
  const before = process.memoryUsage.rss()
  const spent = yield* chain(yield* planOf(batches), batches)
  return { seconds: [spent], outputs: { growth_mb: Math.round((process.memoryUsage.rss() - before) / 2 ** 20) } }
})
const result = await Effect.runPromise(Effect.provide(measured, services)).finally(() =>
  rm(folder, { recursive: true })
)
console.log(JSON.stringify({ ...result, mb: process.resourceUsage().maxRSS / 1024 }))
