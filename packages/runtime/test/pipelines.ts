/** Running a YAML pipeline of test operators over a store in a folder. */
import { ArtifactStore, Files } from "@bootlace/data"
import { readPipeline } from "@bootlace/graph"
import type { NodeError, Plan, RunRecord } from "@bootlace/graph"
import { Effect, Layer } from "effect"
import type { Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Progress, runPlan, storeJournal } from "../src/index.ts"
import type { RunOptions } from "../src/index.ts"
import { registry } from "./operators.ts"

export const planOf = (yaml: string): Effect.Effect<Plan> =>
  Effect.orDie(readPipeline(yaml, { file: "test.yaml", registry }))

export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "bootlace-runtime-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

export const services = (store: string, files: Layer.Layer<Files> = Files.layer) =>
  Layer.mergeAll(Layer.provideMerge(ArtifactStore.layer(store), files), Progress.layer)

const runOver = <E>(layer: Layer.Layer<ArtifactStore | Files | Progress, E>, yaml: string, options: RunOptions) =>
  Effect.flatMap(planOf(yaml), (plan) => runPlan(plan, options)).pipe(
    Effect.provide(Layer.orDie(layer), { local: true })
  )

/** One run in a fresh process, as far as the store can tell. */
export const run = (store: string, yaml: string, options: RunOptions = {}): Effect.Effect<RunRecord, NodeError> =>
  runOver(services(store), yaml, options)

/** The same, with the store's journal. */
export const runJournaled = (
  store: string,
  yaml: string,
  options: RunOptions = {}
): Effect.Effect<RunRecord, NodeError> =>
  runOver(Layer.provideMerge(storeJournal(store), services(store)), yaml, options)

/** Digests of all nodes: what a run made. */
export const digests = (record: RunRecord): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(record.nodes).map(([id, node]) => [id, node.artifact]))

/** Every kind of operator, rejected rows, two passes over a row set, streamed columns, a threshold that closes a loop. */
export const everything = `
version: 1
name: everything
seed: 5
nodes:
  left:    { op: Numbers, shards: 3, rows: 40, bad: 9, word: left }
  right:   { op: Numbers, shards: 2, rows: 25, word: right }
  words:   { op: Words, in: { text: [left.text, right.text] } }
  length:  { op: Measure, in: { text: left.text }, refuse: 6 }
  embed:   { op: Embed, in: { value: left.value } }
  token:   { op: TokenScore, in: { tokens: embed.tokens, length: length.length } }
  median:  { op: Median, in: { value: token.score } }
  split:   { op: Split, in: { value: token.score, threshold: median.threshold, text: left.text, length: length.length } }
  again:   { op: Repeat, in: { text: split.high.text } }
  both:    { op: Concat, in: { rows: [split.high, split.low, right.rows] } }
  size:    { op: Measure, in: { text: both.text } }
  total:   { op: Sum, in: { score: size.length } }
  echo:    { op: Measure, in: { text: again.again } }
  sum:     { op: Sum, in: { score: echo.length } }
  start:   { op: Start }
  learn:
    op: Learn
    init: start.model
    in: { pairs: [split.high, right.rows] }
    graph: { size: { op: Measure, in: { text: pairs.text } } }
    minimize: [size.length_loss]
    steps: 23
    every: 4
`
