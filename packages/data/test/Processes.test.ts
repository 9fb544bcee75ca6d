import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { fork } from "node:child_process"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { ArtifactStore, Files, keyOf } from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const program = new URL("./fixtures/processes/Commits.ts", import.meta.url).pathname

/** Runs the committer; killed `kill_ms` after it started, or left alone. Says whether it came to its end. */
const runCommitter = (root: string, kill_ms?: number): Promise<boolean> =>
  new Promise((resolve) => {
    const child = fork(program, [root], { stdio: "ignore" })
    let done = false
    child.on("message", (message) => {
      done ||= message === "done"
      if (message === "started" && kill_ms !== undefined) void setTimeout(kill_ms).then(() => child.kill("SIGKILL"))
    })
    child.on("exit", () => resolve(done))
  })

/** Every visible artifact is whole; gives how many there are. */
const countWhole = (root: string): number => {
  const folder = join(root, "artifacts")
  if (!existsSync(folder)) return 0
  for (const key of readdirSync(folder)) {
    const task = Array.from({ length: 40 }, (_, i) => i).find((i) => keyOf({ task: i }) === key)!
    assert.deepStrictEqual(readFileSync(join(folder, key, "a.bin")), Buffer.alloc(65_536, task))
    assert.deepStrictEqual(readFileSync(join(folder, key, "b.bin")), Buffer.alloc(1_000, task + 1))
  }
  return readdirSync(folder).length
}

describe("real processes", () => {
  it.live("killed with -9 leave whole artifacts only, and the next one finishes", () =>
    Effect.gen(function* () {
      const root = yield* temporaryFolder()
      let last = 0
      for (const kill_ms of [5, 20, 10, 40]) {
        yield* Effect.promise(() => runCommitter(root, kill_ms))
        const count = countWhole(root)
        assert.isAtLeast(count, last)
        last = count
      }
      assert.isTrue(yield* Effect.promise(() => runCommitter(root)))
      assert.strictEqual(countWhole(root), 40)
      assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
    }).pipe(Effect.scoped)
  )

  it.live("that commit the same keys at once are all right", () =>
    Effect.gen(function* () {
      const root = yield* temporaryFolder()
      const ends = yield* Effect.promise(() => Promise.all([1, 2, 3, 4].map(() => runCommitter(root))))
      assert.deepStrictEqual(ends, [true, true, true, true])
      assert.strictEqual(countWhole(root), 40)
      assert.deepStrictEqual(readdirSync(join(root, "tmp")), [])
      const opened = Effect.flatMap(ArtifactStore, (store) => store.open(keyOf({ task: 7 })))
      const artifact = yield* opened.pipe(Effect.provide(ArtifactStore.layer(root)), Effect.provide(Files.layer))
      assert.deepStrictEqual(artifact?.meta, { task: 7 })
    }).pipe(Effect.scoped)
  )
})
