/** Runs as durable workflows: what a process left is taken up by the next, in the same execution, and nothing done is done again. */
import { afterEach, assert, describe, it } from "@effect/vitest"
import { Files } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import { Effect, Exit, Fiber, Layer } from "effect"
import { readdirSync, readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { killAt, withFaults } from "../../data/test/faults.ts"
import { readTries, runPlan, storeJournal } from "../src/index.ts"
import type { History, RunOptions } from "../src/index.ts"
import { openSqlite } from "../src/SqliteClient.ts"
import { calls, knobs, resetCalls, resetKnobs } from "./operators.ts"
import { digests, planOf, run, runJournaled, services, temporaryFolder } from "./pipelines.ts"

afterEach(() => {
  resetKnobs()
  resetCalls()
})

const small = `
version: 1
name: small
seed: 3
nodes:
  rows:   { op: Numbers, shards: 2, rows: 20 }
  length: { op: Measure, in: { text: rows.text } }
  sum:    { op: Sum, in: { score: length.length } }
  start:  { op: Start }
  learn:
    op: Learn
    init: start.model
    in: { pairs: [rows.rows] }
    graph: { size: { op: Measure, in: { text: pairs.text } } }
    minimize: [size.length_loss]
    steps: 12
    every: 4
`

const dieAt = (n: number): void => {
  let seen = 0
  knobs.onCall = () => {
    if (++seen === n) throw new Error("out of luck")
  }
}

/** What an undisturbed run makes, and how many calls of operators it takes. */
const wholeRun = Effect.gen(function* () {
  let total = 0
  knobs.onCall = () => void (total += 1)
  const expected = digests(yield* runJournaled(yield* temporaryFolder, small))
  resetKnobs()
  resetCalls()
  return { expected, total }
})

/** What a resumed run is told. */
const told = () => {
  const heard: Array<{ readonly run: string; readonly history: History }> = []
  const options: RunOptions = { onResume: (id, history) => Effect.sync(() => void heard.push({ run: id, history })) }
  return { heard, options }
}

const executions = (store: string) =>
  Effect.scoped(
    Effect.flatMap(
      openSqlite(join(store, "orchestration.sqlite")),
      (sql) => sql<{ readonly attempt: number; readonly status: string }>`SELECT attempt, status FROM executions`
    )
  )

describe("DurableRun", () => {
  it.effect("goes on with the execution that an error ended; finished tasks don't run again", () =>
    Effect.gen(function* () {
      const { expected, total } = yield* wholeRun
      const store = yield* temporaryFolder
      const { heard, options } = told()
      dieAt(4)
      yield* Effect.flip(runJournaled(store, small, options))
      // Less what the first one has done: in the training.
      dieAt(total - 8)
      yield* Effect.flip(runJournaled(store, small, options))
      assert.isAbove(calls["Measure.call"]!, 0)
      resetKnobs()
      resetCalls()
      const record = yield* runJournaled(store, small, options)
      assert.deepStrictEqual(digests(record), expected)
      assert.isUndefined(calls["Measure.call"])
      assert.isAbove(calls["Learn.step"]!, 0)
      assert.deepStrictEqual(
        heard.map(({ run: id, history }) => [id, history.attempt, history.open.map(({ status }) => status)]),
        [
          [record.run, 2, ["failed"]],
          [record.run, 3, ["failed"]]
        ]
      )
      assert.deepStrictEqual(yield* executions(store), [{ attempt: 3, status: "done" }])
      const tries = yield* readTries(store, record.run, "learn")
      assert.deepStrictEqual(
        tries.map(({ task, status }) => [task, status]),
        [
          ["learn", "failed"],
          ["learn", "done"]
        ]
      )
      assert.match(tries[0]!.error!, /^error\[R230\] node=learn .*out of luck/)
    })
  )

  it.live("goes on with one that was interrupted in the middle of a task", () =>
    Effect.gen(function* () {
      const { expected } = yield* wholeRun
      const store = yield* temporaryFolder
      const { heard, options } = told()
      const working = yield* Effect.callback<Fiber.Fiber<unknown, unknown>>((resume) => {
        const fiber = Effect.runFork(runJournaled(store, small, options))
        knobs.delay = 5
        let seen = 0
        knobs.onCall = () => {
          if (++seen === 6) resume(Effect.succeed(fiber))
        }
      })
      const start = performance.now()
      yield* Fiber.interrupt(working)
      const exit = yield* Fiber.await(working)
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.isBelow(performance.now() - start, 20_000)
      assert.deepStrictEqual(yield* executions(store), [{ attempt: 1, status: "interrupted" }])
      resetKnobs()
      assert.deepStrictEqual(digests(yield* runJournaled(store, small, options)), expected)
      assert.strictEqual(heard.length, 1)
      const [{ history }] = heard as [(typeof heard)[number]]
      assert.deepStrictEqual(
        history.open.map(({ status, tries }) => [status, tries]),
        [["interrupted", 1]]
      )
      assert.deepStrictEqual(yield* executions(store), [{ attempt: 2, status: "done" }])
    })
  )

  it.effect(
    "an operator's error is the one that a person would have read without a journal, and it isn't tried again",
    () =>
      Effect.gen(function* () {
        // Two groups at work at once: one fails, its sibling is interrupted.
        for (const n of [3, 5]) {
          dieAt(n)
          const plain = yield* Effect.flip(run(yield* temporaryFolder, small, { in_flight: 2 }))
          const without = { ...calls }
          resetCalls()
          dieAt(n)
          const durable = yield* Effect.flip(runJournaled(yield* temporaryFolder, small, { in_flight: 2 }))
          assert.instanceOf(durable, NodeError)
          assert.deepStrictEqual({ ...durable }, { ...plain })
          assert.strictEqual(durable.message, plain.message)
          assert.deepStrictEqual({ ...calls }, without)
          resetCalls()
        }
      })
  )

  it.effect("does again what is written down as done and isn't in the store", () =>
    Effect.gen(function* () {
      const { expected } = yield* wholeRun
      const store = yield* temporaryFolder
      // In the training: both shards of the chain are done.
      dieAt(16)
      yield* Effect.flip(runJournaled(store, small))
      resetKnobs()
      resetCalls()
      const artifacts = join(store, "artifacts")
      for (const key of readdirSync(artifacts))
        if (readFileSync(join(artifacts, key, "manifest.jsonl"), "utf8").includes(`"type":"rows"`))
          rmSync(join(artifacts, key), { recursive: true })
      const record = yield* runJournaled(store, small)
      assert.deepStrictEqual(digests(record), expected)
      assert.isAtLeast(calls["Measure.call"]!, 1)
      const tries = yield* readTries(store, record.run, "length")
      assert.isTrue(tries.every(({ status }) => status === "done"))
      assert.isAbove(tries.length, new Set(tries.map(({ task }) => task)).size)
    })
  )

  it.effect("a finished plan begins a new execution, in which everything is found", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* runJournaled(store, small)
      resetCalls()
      const { heard, options } = told()
      const second = yield* runJournaled(store, small, options)
      assert.notStrictEqual(second.run, first.run)
      assert.deepStrictEqual(calls, { "Numbers.open": 1 })
      assert.deepStrictEqual(heard, [])
      assert.isTrue(Object.values(second.nodes).every(({ cached }) => cached))
      assert.deepStrictEqual(yield* executions(store), [
        { attempt: 1, status: "done" },
        { attempt: 1, status: "done" }
      ])
    })
  )

  it.effect("an execution goes with its run's folder", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const first = yield* runJournaled(store, small)
      rmSync(join(store, "runs", first.run), { recursive: true })
      yield* runJournaled(store, small)
      assert.strictEqual((yield* executions(store)).length, 1)
      assert.deepStrictEqual(yield* readTries(store, first.run, "sum"), [])
    })
  )

  it.effect("what no operator is to blame for comes through as it was thrown", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const plan = yield* planOf(small)
      const disk = withFaults(yield* Files, killAt(150))
      const journaled = Layer.provideMerge(storeJournal(store), services(store, Layer.succeed(Files, disk)))
      const exit = yield* Effect.exit(Effect.provide(runPlan(plan), Layer.orDie(journaled), { local: true }))
      const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
      // Once for the work, once for the record of its failure.
      const defects = reasons.map((reason) => (reason._tag === "Die" ? reason.defect : reason._tag))
      assert.deepStrictEqual(new Set(defects), new Set(["killed at step 150"]))
      assert.strictEqual((yield* executions(store))[0]!.status, "failed")
    }).pipe(Effect.provide(Files.layer))
  )
})
