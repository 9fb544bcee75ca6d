import { assert, afterEach, describe, it } from "@effect/vitest"
import { Effect, Layer, PubSub } from "effect"
import { explainPlan, keysInUse, Progress, runPlan } from "../src/index.ts"
import { ArtifactStore, Files } from "@bootlace/data"
import { knobs, resetKnobs } from "./operators.ts"
import { everything, planOf, run, services, temporaryFolder } from "./pipelines.ts"

afterEach(resetKnobs)

const explain = (store: string, yaml: string) =>
  Effect.flatMap(planOf(yaml), (plan) => explainPlan(plan)).pipe(
    Effect.map((nodes) => Object.fromEntries(nodes.map((node) => [node.node, node]))),
    Effect.provide(Layer.orDie(services(store)), { local: true })
  )

describe("Explain", () => {
  it.effect("says before the first run what will run and what waits", () =>
    Effect.gen(function* () {
      const plan = yield* explain(yield* temporaryFolder, everything)
      assert.deepInclude(plan["left"], { status: "run", tasks: 3, cached: 0 })
      assert.deepStrictEqual(plan["left"]!.why, ["this pipeline has not been run in this store"])
      assert.deepInclude(plan["split"], { status: "run", why: ["median must run first"] })
      assert.deepInclude(plan["learn"], { status: "run", why: ["split, start must run first"] })
    })
  )

  it.effect("finds everything cached after a run, with its rows", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const record = yield* run(store, everything)
      const plan = yield* explain(store, everything)
      for (const [id, node] of Object.entries(plan)) {
        assert.deepInclude(node, { status: "cached", why: [], rows: record.nodes[id]!.rows_in }, id)
      }
    })
  )

  it.effect("names what changed, and leaves alone what it doesn't reach", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      yield* run(store, everything)
      const plan = yield* explain(store, everything.replace("refuse: 6", "refuse: 5").replace("steps: 23", "steps: 24"))
      assert.deepStrictEqual(plan["length"]!.why, ["config.refuse 6 -> 5"])
      assert.deepInclude(plan["embed"], { status: "cached" })
      assert.deepInclude(plan["words"], { status: "cached" })
      const change = "([0-9a-f]{12}) -> (?!\\1)[0-9a-f]{12}"
      assert.match(plan["token"]!.why.join("; "), new RegExp(`^inputs\\.length ${change}$`))
      assert.lengthOf(plan["median"]!.why, 3)
      for (const [shard, each] of plan["median"]!.why.entries())
        assert.match(each, new RegExp(`^inputs\\.value\\.${shard}\\.value ${change}$`))
      const other = yield* explain(store, everything.replace("steps: 23", "steps: 24"))
      assert.deepStrictEqual(other["learn"]!.why, ["config.steps 23 -> 24"])
      assert.deepStrictEqual(
        Object.values(other)
          .filter(({ status }) => status !== "cached")
          .map(({ node }) => node),
        ["learn"]
      )
    })
  )

  it.effect("knows what a fold reads by its content, not by its path", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const reading = (path: string) => everything.replace("op: Start", `op: Start, path: ${path}`)
      yield* run(store, reading("here"))
      const moved = yield* explain(store, reading("there"))
      assert.deepInclude(moved["start"], { status: "cached" })
      knobs.content = "b"
      const changed = yield* explain(store, reading("here"))
      assert.deepStrictEqual(changed["start"]!.why, ['content "a" -> "b"'])
      const record = yield* run(store, reading("here"))
      assert.isFalse(record.nodes["start"]!.cached)
      assert.isTrue(record.nodes["left"]!.cached)
    })
  )

  it.effect("counts the shards that are there after an interrupted run", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      let reads = 0
      knobs.onCall = () => {
        if (++reads > 60) throw new Error("killed")
      }
      yield* Effect.flip(run(store, everything))
      resetKnobs()
      const left = (yield* explain(store, everything))["left"]!
      assert.deepInclude(left, { status: "part", tasks: 3 })
      assert.lengthOf(left.shards, 3)
      assert.lengthOf(
        left.shards.filter(({ cached }) => cached),
        left.cached
      )
    })
  )

  it.effect("keeps what runs name and lets go of the rest", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      yield* run(store, everything)
      const left = yield* Effect.gen(function* () {
        const artifacts = yield* ArtifactStore
        const used = yield* keysInUse(store)
        assert.deepStrictEqual(yield* artifacts.gc(used), [])
        return yield* artifacts.gc(new Set())
      }).pipe(Effect.provide(Layer.orDie(services(store)), { local: true }))
      assert.isAbove(left.length, 20)
      assert.deepInclude((yield* explain(store, everything))["sum"], { status: "run" })
    })
  )

  it.effect("tells progress: every node starts, goes on and ends", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const plan = yield* planOf(everything)
      const watched = Effect.gen(function* () {
        const events = yield* PubSub.subscribe(yield* Progress)
        const record = yield* runPlan(plan)
        return { record, events: yield* PubSub.takeAll(events) }
      }).pipe(Effect.scoped, Effect.provide(Layer.orDie(services(store)), { local: true }))
      const { events } = yield* watched
      for (const node of ["left", "length", "split", "again", "sum", "learn"]) {
        const own = events.filter((event) => event.node === node)
        assert.strictEqual(own[0]!.message, "started", node)
        assert.strictEqual(own.at(-1)!.message, "finished", node)
        assert.isTrue(
          own.slice(1, -1).every(({ message }) => message === "running"),
          node
        )
        assert.isTrue(
          own.every(({ done }, i) => i === 0 || done >= own[i - 1]!.done),
          node
        )
      }
      const learn = events.filter((event) => event.node === "learn")
      assert.deepInclude(learn.at(-2), { done: 23, total: 23 })
      assert.isDefined(learn.at(-2)!.metrics["loss"])
      assert.deepInclude(
        events.findLast((event) => event.node === "left"),
        { done: 120, total: 120 }
      )
      const again = yield* watched
      assert.isTrue(again.events.every(({ message }) => message === "cached"))
    })
  )

  it.effect("opens nothing but sources and writes nothing", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      let calls = 0
      knobs.onCall = () => void calls++
      yield* explain(store, everything)
      assert.strictEqual(calls, 0)
      const listed = yield* Effect.provide(
        Effect.flatMap(Files, (files) => files.list(store)),
        Files.layer
      )
      assert.deepStrictEqual(listed, ["artifacts", "tmp"])
    })
  )
})
