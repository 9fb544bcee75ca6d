import { it } from "@effect/vitest"
import { assert, describe } from "vitest"
import type { ProgressEvent } from "@bootlace/runtime"
import { advance, clock, plainLine, plainStatus, rateOf, renderBars, startProgress } from "../src/Progress.ts"
import type { Progress, Unit } from "../src/Progress.ts"

const units = (...nodes: ReadonlyArray<string>): ReadonlyMap<string, Unit> =>
  new Map(nodes.map((node) => [node, node === "train" ? "steps" : "rows"]))

const event = (node: string, message: ProgressEvent["message"], more: Partial<ProgressEvent> = {}): ProgressEvent => ({
  node,
  message,
  done: 0,
  seconds: 0,
  metrics: {},
  ...more
})

const play = (nodes: ReadonlyArray<string>, events: ReadonlyArray<readonly [number, ProgressEvent]>): Progress =>
  events.reduce((progress, [at, each]) => advance(progress, each, at), startProgress(units(...nodes), 0))

const train = (done: number, total = 800): ProgressEvent =>
  event("train", "running", { done, total, metrics: { itc_loss: 2.3142, learning_rate: 0.001 } })

describe("Progress", () => {
  it("shows bar, rate and time to go", () => {
    const progress = play(
      ["web", "train", "a", "b", "c"],
      [
        [0, event("web", "cached", { done: 6144 })],
        [0, event("train", "started", { total: 800 })],
        [10_000, train(100)],
        [20_000, train(200)]
      ]
    )
    assert.deepStrictEqual(renderBars(progress, 20_000, 120), [
      "train     #####---------------  200/800 steps  10.0/s  1:00 left  itc_loss 2.31",
      "1 of 5 nodes (1 cached)  0:20"
    ])
  })

  it("takes the rate over the last quarter of a minute", () => {
    const steps = [0, 10, 20, 30, 40].map((done, i) => [i * 10_000, train(done, 1000)] as const)
    const progress = play(["train"], [...steps, [41_000, train(140, 1000)]])
    assert.approximately(rateOf(progress.running.get("train")!)!, 110 / 11, 1e-9)
  })

  it("doesn't count what was done before a resumed training went on", () => {
    const progress = play(
      ["train"],
      [
        [0, event("train", "started", { total: 800 })],
        [1000, train(500)],
        [3000, train(510)]
      ]
    )
    assert.approximately(rateOf(progress.running.get("train")!)!, 5, 1e-9)
  })

  it("says nothing of rates and times it doesn't know", () => {
    const progress = play(["pairs"], [[0, event("pairs", "running")]])
    assert.deepStrictEqual(plainStatus(progress), ["pairs: 0 rows"])
    assert.isUndefined(rateOf(progress.running.get("pairs")!))
  })

  it("never writes a line wider than the terminal, nor more than nine", () => {
    const nodes = Array.from({ length: 30 }, (_, i) => `a_node_with_a_very_long_name_${i}[data=both,seed=${i}]`)
    const lines = renderBars(
      play(
        nodes,
        nodes.map((node, i) => [i, event(node, "running", { total: 10 })])
      ),
      1000,
      60
    )
    assert.strictEqual(lines.length, 9)
    assert.isTrue(lines.every((line) => line.length <= 60))
    assert.include(lines.at(-1)!, "22 more at work")
  })

  it("counts what is finished and what of it was cached", () => {
    const progress = play(
      ["a", "b", "c"],
      [
        [0, event("a", "started")],
        [1, event("a", "finished")],
        [2, event("b", "cached")]
      ]
    )
    assert.deepStrictEqual([progress.finished, progress.cached, progress.running.size], [2, 1, 0])
  })

  it("writes plain lines without control characters", () => {
    assert.strictEqual(plainLine(event("a\u001b[2J", "started", { total: 3 }), "rows"), "a\ufffd[2J: started, 3 rows")
    assert.isUndefined(plainLine(event("a", "running", { done: 1 }), "rows"))
    assert.strictEqual(plainLine(event("a", "finished", { done: 3, seconds: 1.234 }), "steps"), "a: 3 steps in 1.23 s")
    assert.strictEqual(plainLine(event("a", "cached"), "rows"), "a: cached")
  })

  it("writes times as a clock", () => {
    assert.deepStrictEqual([0, 41_000, 727_000, 3_753_000].map(clock), ["0:00", "0:41", "12:07", "1:02:33"])
  })
})
