/** Real processes: killed at any moment, and several at once. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { digests, everything, planOf, run, temporaryFolder } from "./pipelines.ts"

const child = join(import.meta.dirname, "child.ts")

interface Ended {
  readonly code: number | null
  readonly output: string
  readonly pid: number
}

/** Runs the child; with `killAfter` it is killed that many milliseconds after it has begun its run. */
const spawned = (store: string, delay: number, killAfter?: number, steps = 23): Effect.Effect<Ended> =>
  Effect.promise(
    () =>
      new Promise((resolve) => {
        const process_ = spawn(process.execPath, [child, store, String(delay), String(steps)], {
          stdio: ["ignore", "pipe", "ignore"]
        })
        let output = ""
        process_.stdout.on("data", (data) => (output += String(data)))
        process_.on("close", (code) => resolve({ code, output, pid: process_.pid! }))
        if (killAfter === undefined) return
        const waiting = setInterval(() => {
          try {
            if (readdirSync(join(store, "locks")).length === 0) return
          } catch {
            return
          }
          clearInterval(waiting)
          setTimeout(() => process_.kill("SIGKILL"), killAfter)
        }, 5)
        process_.on("close", () => clearInterval(waiting))
      })
  )

describe("Process", () => {
  it.live(
    "killed at any moment, the next run ends with the same bytes",
    () =>
      Effect.gen(function* () {
        const expected = digests(yield* run(yield* temporaryFolder, everything))
        const store = yield* temporaryFolder
        let killed = 0
        // One store: every process goes on where the one before was killed, until one gets through; then a new store.
        let current = store
        for (let i = 0; i < 10; i++) {
          const { code } = yield* spawned(current, 3, 30 + ((i * 197) % 500))
          if (code === null) killed += 1
          if (i % 3 !== 2 && code === null) continue
          assert.deepStrictEqual(digests(yield* run(current, everything)), expected, `kill ${i}`)
          current = yield* temporaryFolder
        }
        assert.isAtLeast(killed, 7)
      }),
    120_000
  )

  it.live(
    "two runs of a plan in one store: the second is told who has it",
    () =>
      Effect.gen(function* () {
        const store = yield* temporaryFolder
        const [first, second] = yield* Effect.all(
          [spawned(store, 10), Effect.delay(spawned(store, 10), "700 millis")],
          {
            concurrency: "unbounded"
          }
        )
        const outputs = [first, second].map(({ output }) => JSON.parse(output))
        const refused = outputs.find(({ error }) => error !== undefined)
        const winner = [first, second].find(({ code }) => code === 0)
        assert.match(refused.error, new RegExp(`R424.*process ${winner!.pid} on ${hostname()}`))
        assert.deepStrictEqual(
          outputs.find(({ error }) => error === undefined).digests,
          digests(yield* run(store, everything))
        )
      }),
    60_000
  )

  it.live(
    "two plans at once in one store share what they have in common and are both right",
    () =>
      Effect.gen(function* () {
        const longer = everything.replace("steps: 23", "steps: 30")
        const expected = [everything, longer].map((yaml) =>
          Effect.flatMap(temporaryFolder, (store) => run(store, yaml))
        )
        const store = yield* temporaryFolder
        const both = yield* Effect.all([spawned(store, 2), spawned(store, 2, undefined, 30)], {
          concurrency: "unbounded"
        })
        for (const [i, { code, output }] of both.entries()) {
          assert.strictEqual(code, 0, output)
          assert.deepStrictEqual(JSON.parse(output).digests, digests(yield* expected[i]!))
        }
        const again = yield* run(store, longer)
        assert.isTrue(Object.values(again.nodes).every(({ cached }) => cached))
      }),
    60_000
  )

  it.live("takes the lock of a process that is gone, and of one that was killed while it wrote its name", () =>
    Effect.gen(function* () {
      const store = yield* temporaryFolder
      const plan = yield* planOf(everything)
      const lock = join(store, "locks", `${plan.hash}.json`)
      mkdirSync(join(store, "locks"))
      for (const text of [JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), started: "1" }), ""]) {
        writeFileSync(lock, text)
        assert.strictEqual((yield* run(store, everything)).status, "done")
        assert.deepStrictEqual(readdirSync(join(store, "locks")), [])
      }
      writeFileSync(lock, JSON.stringify({ pid: 1, host: "elsewhere", started: "1" }))
      const refused = yield* Effect.flip(run(store, everything))
      assert.match(refused.message, /R424.*process 1 on elsewhere/)
    })
  )

  it.live.skipIf(process.platform !== "linux")(
    "takes the lock of a process that is dead but still has its number",
    () =>
      Effect.gen(function* () {
        const store = yield* temporaryFolder
        const plan = yield* planOf(everything)
        // `true` ends at once; the `sleep` that takes the shell's place never asks how.
        const parent = spawn("sh", ["-c", "true & echo $!; exec sleep 20"], { stdio: ["ignore", "pipe", "ignore"] })
        const pid = yield* Effect.promise(
          () => new Promise((resolve) => parent.stdout.once("data", (data) => resolve(Number(data))))
        )
        yield* Effect.sleep("300 millis")
        mkdirSync(join(store, "locks"))
        writeFileSync(join(store, "locks", `${plan.hash}.json`), JSON.stringify({ pid, host: hostname(), started: "" }))
        const record = yield* Effect.ensuring(
          run(store, everything),
          Effect.sync(() => parent.kill())
        )
        assert.strictEqual(record.status, "done")
      })
  )
})
