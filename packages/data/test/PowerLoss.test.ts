import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger } from "effect"
import fc from "fast-check"
import { ArtifactStore, Files, keyOf } from "../src/index.ts"
import type { FilesShape } from "../src/index.ts"
import { killAt, withFaults } from "./faults.ts"
import { makeMemoryDisk } from "./memoryFiles.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const keys = [0, 1, 2].map((task) => keyOf({ task }))

/** Makes the artifacts one after the other, as a run does; each key is noted once its commit has returned. */
const makeAll = (committed: Set<string>) =>
  Effect.forEach(keys, (key, task) =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      if ((yield* store.open(key)) === undefined) {
        const draft = yield* store.begin(key)
        yield* draft.write("rows.arrow", [bytes(`rows of ${task} `), bytes("and more")], { rows: 2, schema: "s" })
        yield* draft.write("metrics.json", bytes(`{"task":${task}}`))
        yield* draft.commit({ task })
      }
      committed.add(key)
    }).pipe(Effect.scoped)
  )

const inStore = <A, E>(files: FilesShape, use: Effect.Effect<A, E, ArtifactStore>) =>
  use.pipe(
    Effect.provide(ArtifactStore.layer("/runs/store", { isAlive: () => false })),
    Effect.provideService(Files, files),
    Effect.provide(Logger.layer([]))
  )

/** What the store shows: for each key nothing, or the whole artifact. */
const check = (committed: ReadonlySet<string>) =>
  Effect.forEach(keys, (key, task) =>
    Effect.gen(function* () {
      const store = yield* ArtifactStore
      const artifact = yield* store.open(key)
      if (artifact === undefined)
        return assert.isFalse(committed.has(key), `artifact ${task} was committed and is gone`)
      const text = new TextDecoder().decode(yield* artifact.read("rows.arrow"))
      assert.strictEqual(text, `rows of ${task} and more`)
      assert.deepStrictEqual(artifact.meta, { task })
    })
  )

describe("a power cut at any moment", () => {
  it("leaves every committed artifact whole and no torn one visible; the next run ends the same", async () => {
    const schedule = fc.tuple(
      fc.integer({ min: 1, max: 90 }),
      fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true }))
    )
    let cuts = 0
    await fc.assert(
      fc.asyncProperty(fc.array(schedule, { minLength: 1, maxLength: 3 }), async (schedules) => {
        const disk = makeMemoryDisk()
        const committed = new Set<string>()
        for (const [step, numbers] of schedules) {
          const files = withFaults(disk.files, killAt(step))
          const exit = await Effect.runPromiseExit(inStore(files, makeAll(committed)))
          if (Exit.isFailure(exit)) cuts += 1
          disk.cut(() => numbers.next().value!)
          await Effect.runPromise(inStore(disk.files, check(committed)))
        }
        await Effect.runPromise(inStore(disk.files, makeAll(committed)))
        await Effect.runPromise(inStore(disk.files, check(new Set(keys))))
      }),
      { numRuns: 150 }
    )
    assert.isAbove(cuts, 50)
  })
})
