/**
 * R4, R5: the nth step on the disk fails, once or from then on, for every n of a run; a failed flush ends the run at once.
 *
 * The run must fail in words that name a path, or succeed with the right bytes where nothing depended on that step; and the
 * next run, on a disk that works again, must end with the bytes of an undisturbed one.
 */
import { DataError } from "@bootlace/data"
import type { DataErrorCode, FilesShape } from "@bootlace/data"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { withFaults } from "../../packages/data/test/faults.ts"
import type { Step } from "../../packages/data/test/faults.ts"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { little, littleOptions, simulate, undisturbed } from "./simulated.ts"
import { figure, kills, patience } from "./torture.ts"

const writing = new Set(["create", "write", "rename", "makeFolder", "remove"])
const flushing = new Set(["fsync", "fsyncFolder"])

const systemErrors = {
  EIO: (verb: string): DataErrorCode =>
    flushing.has(verb) ? "NotDurable" : writing.has(verb) ? "Unwritable" : "Unreadable",
  ENOSPC: (): DataErrorCode => "DiskFull",
  EMFILE: (verb: string): DataErrorCode => (writing.has(verb) ? "Unwritable" : "Unreadable"),
  EACCES: (verb: string): DataErrorCode => (writing.has(verb) ? "Unwritable" : "Unreadable"),
  /** Half of the bytes are written before the error. */
  short: (): DataErrorCode => "DiskFull"
}
type Kind = keyof typeof systemErrors
const kinds = Object.keys(systemErrors) as ReadonlyArray<Kind>

const errorOf = (kind: Kind, { verb, path }: Step): DataError =>
  new DataError({ code: systemErrors[kind](verb), file: path, detail: kind })

/** Files whose step `n`, and with `sticky` every later one, fails. */
const failing = (base: FilesShape, n: number, kind: Kind, sticky: boolean) => {
  const seen: { failed?: Step; after: Array<Step> } = { after: [] }
  let isHalved = false
  const halves: FilesShape = {
    ...base,
    create: (path) =>
      Effect.map(base.create(path), (sink) => ({
        ...sink,
        write: (bytes) => Effect.suspend(() => sink.write(isHalved ? bytes.subarray(0, bytes.length / 2) : bytes))
      }))
  }
  const files = withFaults(halves, (step, run) => {
    if (seen.failed !== undefined) seen.after.push(step)
    if (step.number !== n && !(sticky && step.number > n)) return run
    seen.failed ??= step
    const error = Effect.fail(errorOf(kind, step))
    if (kind !== "short" || step.verb !== "write") return error
    isHalved = true
    const half = Effect.ensuring(
      run,
      Effect.sync(() => (isHalved = false))
    )
    return Effect.andThen(half, error)
  })
  return { files, seen }
}

const stepsOfRun = async (): Promise<ReadonlyArray<Step>> => {
  const steps: Array<Step> = []
  const files = withFaults(makeMemoryDisk().files, (step, run) =>
    Effect.andThen(
      Effect.sync(() => steps.push(step)),
      run
    )
  )
  await simulate(files, little, littleOptions)
  return steps
}

describe("a disk that fails", () => {
  it(
    "R4: every nth step fails, once and from then on; the next run ends with the same bytes",
    async () => {
      const expected = digests(await undisturbed(little, littleOptions))
      const steps = await stepsOfRun()
      let [runs, failed] = [0, 0]
      for (const { number } of steps) {
        // On every push each step fails in one way, the ways taking turns; with more kills in all of them.
        const ways = kills > 50 ? kinds : [kinds[number % kinds.length]!]
        for (const [kind, sticky] of ways.flatMap((kind) => [[kind, false] as const, [kind, true] as const])) {
          const disk = makeMemoryDisk()
          const { files, seen } = failing(disk.files, number, kind, sticky)
          const hurt = await simulate(files, little, littleOptions)
          const place = `step ${number} of ${steps.length}, ${seen.failed?.verb} ${seen.failed?.path}, ${kind}${sticky ? " sticky" : ""}`
          runs += 1
          if (hurt.record === undefined) {
            failed += 1
            const paths = sticky ? [seen.failed!, ...seen.after] : [seen.failed!]
            assert.strictEqual(
              paths.some(({ path }) => hurt.error.includes(path)),
              true,
              `${place}: ${hurt.error}`
            )
          } else assert.deepStrictEqual(digests(hurt.record), expected, place)
          const mended = await simulate(disk.files, little, littleOptions)
          assert.strictEqual(mended.error, "", place)
          assert.deepStrictEqual(digests(mended.record!), expected, place)
        }
      }
      assert.isAbove(failed, runs / 2)
      figure(
        "R4",
        `${steps.length} steps, ${runs} runs with a fault, ${failed} failed and named the path, 0 ended differently`
      )
    },
    patience(180_000)
  )

  it(
    "R5: a flush that fails ends the run at once and is never tried again",
    async () => {
      const expected = digests(await undisturbed(little, littleOptions))
      const flushes = (await stepsOfRun()).filter(({ verb }) => flushing.has(verb))
      for (const { number, verb, path } of flushes) {
        const disk = makeMemoryDisk()
        const { files, seen } = failing(disk.files, number, "EIO", false)
        const hurt = await simulate(files, little, littleOptions)
        const place = `${verb} ${path}`
        assert.isUndefined(hurt.record, place)
        assert.include(hurt.error, "not flushed", place)
        // Only the record that the run failed is still written, as a new file.
        const later = seen.after.filter((step) => !step.path.includes("/runs/"))
        assert.deepStrictEqual(
          later.filter((step) => flushing.has(step.verb) || step.verb === "rename"),
          [],
          place
        )
        assert.deepStrictEqual(digests((await simulate(disk.files, little, littleOptions)).record!), expected, place)
      }
      figure("R5", `${flushes.length} flushes, each failed once: ${flushes.length} runs ended, none tried again`)
    },
    patience(60_000)
  )
})
