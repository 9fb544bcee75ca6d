import { assert, afterEach, describe, it } from "@effect/vitest"
import { DataError, Files } from "@bootlace/data"
import { Effect, Exit, Fiber, Layer } from "effect"
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { failAt, killAt, withFaults } from "../../data/test/faults.ts"
import { readRun, runPlan } from "../src/index.ts"
import { calls, knobs, resetCalls, resetKnobs } from "./operators.ts"
import { digests, everything, planOf, run, services, temporaryFolder } from "./pipelines.ts"

afterEach(resetKnobs)

/** Throws at the n-th call of any operator. */
const dieAt = (n: number): void => {
  let seen = 0
  knobs.onCall = () => {
    if (++seen === n) throw new Error("killed")
  }
}

const training = `
version: 1
name: training
seed: 3
nodes:
  rows:  { op: Numbers, shards: 2, rows: 20 }
  start: { op: Start }
  learn:
    op: Learn
    init: start.model
    in: { pairs: rows.rows }
    graph: { size: { op: Measure, in: { text: pairs.text } } }
    minimize: [size.length_loss]
    steps: 20
    every: 5
`
const folding = `
version: 1
name: folding
seed: 3
nodes:
  rows: { op: Numbers, shards: 6, rows: 10 }
  sum:  { op: Sum, in: { score: rows.value } }
`

const checkpointsIn = (store: string): ReadonlyArray<string> => {
  const folder = join(store, "artifacts")
  return readdirSync(folder)
    .map((key) => join(folder, key))
    .filter((path) => readFileSync(join(path, "manifest.jsonl"), "utf8").includes(`"type":"checkpoint"`))
}

describe("Resume", () => {
  it.effect("goes on from wherever an operator died and ends with the same bytes", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, everything))
      for (const n of [1, 9, 30, 58, 77]) {
        const store = yield* temporaryFolder
        dieAt(n)
        const failed = yield* Effect.exit(run(store, everything))
        resetKnobs()
        if (n < 70) assert.isTrue(Exit.isFailure(failed), `call ${n}`)
        assert.deepStrictEqual(digests(yield* run(store, everything)), expected, `call ${n}`)
      }
    })
  )

  it.effect("takes a train up at its last checkpoint", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      const store = yield* temporaryFolder
      resetCalls()
      dieAt(6 + 13)
      yield* Effect.flip(run(store, training))
      assert.strictEqual(calls["Learn.step"], 13)
      assert.strictEqual(checkpointsIn(store).length, 2)
      resetKnobs()
      resetCalls()
      assert.deepStrictEqual(digests(yield* run(store, training)), expected)
      assert.strictEqual(calls["Learn.step"], 10)
      assert.deepStrictEqual(checkpointsIn(store), [])
    })
  )

  it.effect("falls back to the checkpoint before one that is damaged", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      const store = yield* temporaryFolder
      dieAt(6 + 13)
      yield* Effect.flip(run(store, training))
      resetKnobs()
      const newest = checkpointsIn(store).find((path) =>
        readFileSync(join(path, "manifest.jsonl"), "utf8").includes(`"at":10`)
      )!
      const state = join(newest, "state.json")
      writeFileSync(state, readFileSync(state, "utf8").replace("weights", "Weights"))
      resetCalls()
      assert.deepStrictEqual(digests(yield* run(store, training)), expected)
      assert.strictEqual(calls["Learn.step"], 15)
    })
  )

  it.effect("begins anew where no checkpoint fits", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      const store = yield* temporaryFolder
      dieAt(6 + 13)
      yield* Effect.flip(run(store, training))
      resetKnobs()
      resetCalls()
      knobs.refuseRestore = true
      assert.deepStrictEqual(digests(yield* run(store, training)), expected)
      assert.strictEqual(calls["Learn.step"], 20)
      assert.strictEqual(calls["Learn.open"], 2)
    })
  )

  it.effect("takes a fold up at its last snapshot", () =>
    Effect.gen(function* () {
      const options = { fold_checkpoint_batches: 2 }
      const expected = digests(yield* run(yield* temporaryFolder, folding, options))
      const store = yield* temporaryFolder
      // Six shards of two batches are read first; then the fold dies in its last step.
      dieAt(12 + 6)
      yield* Effect.flip(run(store, folding, options))
      resetKnobs()
      resetCalls()
      assert.deepStrictEqual(digests(yield* run(store, folding, options)), expected)
      assert.strictEqual(calls["Sum.step"], 2)
      assert.isUndefined(calls["Numbers.read"])
    })
  )

  it.effect("stops a train whose loss is no number and keeps the state before it", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const error = yield* Effect.flip(run(store, training.replace("every: 5", "every: 5\n    nan_at: 12")))
      assert.deepInclude(error, { code: "R301", node: "learn" })
      assert.match(error.detail, /loss is NaN at step 12/)
      assert.strictEqual(checkpointsIn(store).length, 2)
    })
  )

  const withFiles = (store: string, files: Layer.Layer<Files>) =>
    Effect.flatMap(planOf(training), (plan) => runPlan(plan)).pipe(
      Effect.provide(services(store, files), { local: true })
    )
  const faultyFiles = (fault: Parameters<typeof withFaults>[1]) =>
    Layer.effect(
      Files,
      Effect.map(Files, (files) => Files.of(withFaults(files, fault)))
    ).pipe(Layer.provide(Files.layer))

  it.effect("loses nothing when it is stopped at any step on the disk", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      let steps = 0
      yield* withFiles(
        yield* temporaryFolder,
        faultyFiles((step, effect) => {
          steps = step.number
          return effect
        })
      )
      for (let n = 1; n <= steps; n += 29) {
        const store = yield* temporaryFolder
        yield* Effect.exit(withFiles(store, faultyFiles(killAt(n))))
        assert.deepStrictEqual(digests(yield* run(store, training)), expected, `step ${n} of ${steps}`)
      }
    })
  )

  it.effect("names the disk when it is full, and goes on when there is space", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      let full = 0
      for (let n = 20; n < 300; n += 31) {
        const store = yield* temporaryFolder
        const error = new DataError({ code: "DiskFull", file: "artifact", detail: "ENOSPC" })
        const exit = yield* Effect.exit(withFiles(store, faultyFiles(failAt(n, error))))
        if (Exit.isFailure(exit) && String(exit.cause).includes("R423")) full += 1
        assert.deepStrictEqual(digests(yield* run(store, training)), expected, `step ${n}`)
      }
      assert.isAbove(full, 0)
    })
  )

  it.live("ends at once when it is interrupted and takes up the same run", () =>
    Effect.gen(function* () {
      const expected = digests(yield* run(yield* temporaryFolder, training))
      const store = yield* temporaryFolder
      knobs.delay = 40
      const fiber = yield* Effect.forkChild(run(store, training))
      yield* Effect.sleep("500 millis")
      const start = performance.now()
      yield* Fiber.interrupt(fiber)
      assert.isBelow(performance.now() - start, 1500)
      const [id] = readdirSync(join(store, "runs"))
      const record = yield* Effect.provide(readRun(store, id!), Files.layer)
      assert.deepInclude(record, { status: "failed", error: "interrupted" })
      knobs.delay = 0
      const resumed = yield* run(store, training)
      assert.strictEqual(resumed.run, id)
      assert.deepStrictEqual(digests(resumed), expected)
      assert.deepStrictEqual(readdirSync(join(store, "locks")), [])
    })
  )
})
