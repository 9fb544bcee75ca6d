/**
 * R17: a number that is none: in a weight, in logit_scale, in a loss, in a gradient, in the middle of a training.
 *
 * The step stops before the optimiser moves: weights, moments and twin are bit by bit what they were; the error names the node,
 * the step and the rows of its batch; and the checkpoint before it is whole. Images can't carry one: they are bytes.
 */
import type { Artifact, Files } from "@bootlace/graph"
import { Train } from "@bootlace/operators"
import { Effect } from "effect"
import { afterEach, assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { filesFingerprint, runIn } from "../../packages/operators/test/inMemory.ts"
import { newModel, onnx } from "../../packages/operators/test/tinyPairs.ts"
import { trainingContext, withWeight } from "../../packages/operators/test/tinyTraining.ts"
import { trainingGraph } from "../../packages/operators/test/trainingGraph.ts"
import { calls, resetCalls } from "../../packages/runtime/test/operators.ts"
import { little, littleOptions, simulate } from "./simulated.ts"
import { figure } from "./torture.ts"

afterEach(resetCalls)

const clip = await newModel("clip")

/** The model with one number of a weight replaced. */
const poisoned = (weight: string, value: number): Promise<Artifact> =>
  withWeight(clip, weight, (numbers) => void (numbers[0] = value))

/** Steps until one fails, and the states before and after that one. */
const failing = async (init: Artifact, weight: number) => {
  const { graph, config } = await trainingGraph({ objectives: ["itc"], steps: 20, batch_size: 4 })
  const effect = Effect.gen(function* () {
    const minimize = graph.minimize.map((each) => ({ ...each, weight }))
    const training = yield* Train.body.open(yield* trainingContext(init, config, { ...graph, minimize }))
    for (let step = 0; step < training.steps; step++) {
      const before: Files = yield* training.snapshot
      const result = yield* Effect.result(training.step(step))
      if (result._tag === "Success") continue
      return { error: result.failure, step, before, after: (yield* training.snapshot) as Files }
    }
    return undefined
  })
  return runIn({ layer: onnx }, effect)
}

const cases: ReadonlyArray<readonly [name: string, weight: string, value: number, lossWeight: number, said: RegExp]> = [
  ["a weight is NaN", "visual_projection.weight", NaN, 1, /loss itc_loss is NaN/],
  ["a weight is infinite", "text_projection.weight", Infinity, 1, /loss itc_loss is/],
  ["logit_scale is NaN", "logit_scale", NaN, 1, /loss itc_loss is NaN/],
  ["a loss is infinite", "logit_scale", 2, Infinity, /sum of the losses is Infinity|loss itc_loss is Infinity/],
  ["a gradient overflows", "logit_scale", 2, 1e38, /gradient/]
]

describe("a number that is none", () => {
  it("R17: stops the training before the optimiser moves", async () => {
    for (const [name, weight, value, lossWeight, said] of cases) {
      const failed = await failing(await poisoned(weight, value), lossWeight)
      assert.isDefined(failed, name)
      const { error, step, before, after } = failed!
      assert.deepInclude(error, { _tag: "NodeError", code: "R301", node: "train" }, name)
      assert.match(error.message, said, name)
      assert.match(error.message, new RegExp(`step ${step}: .*rows: ([0-9a-f]{32}(, )?){4}`), name)
      assert.deepStrictEqual(filesFingerprint(after), filesFingerprint(before), name)
    }
    figure(
      "R17",
      `${cases.length} of ${cases.length} invalid numbers stopped with the state unchanged, naming node, step and rows`
    )
  })

  it("R17: leaves the checkpoint before it whole", async () => {
    const yaml = little.replace("every: 3", "every: 3\n    nan_at: 5")
    const disk = makeMemoryDisk()
    const first = await simulate(disk.files, yaml, littleOptions)
    assert.match(first.error, /R301.*node=learn.*step 5/)
    resetCalls()
    const second = await simulate(disk.files, yaml, littleOptions)
    assert.match(second.error, /R301.*node=learn.*step 5/)
    assert.deepStrictEqual(second.warnings, [])
    // Steps 3, 4 and 5: the state after step 2 was committed, read back and found whole.
    assert.strictEqual(calls["Learn.step"], 3)
  })
})
