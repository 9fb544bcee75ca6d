/**
 * R2: a run is stopped at every commit point, and the next goes on. A point is one step on the disk, named by what is done to
 * what: `before rename artifact`, `after fsync manifest`, `after write checkpoint` ...
 *
 * On the small plan the run stops before every single step that touches the disk, k = 1, 2, ... until it gets through (before
 * step k + 1 is after step k). On the four micro pipelines it stops once at every named point, at a random one of its first
 * occurrences, each time in the store that the run before has left.
 */
import type { FilesShape } from "@bootlace/data"
import { Effect } from "effect"
import { basename, dirname } from "node:path"
import { assert, describe, it } from "vitest"
import { killAt, withFaults } from "../../packages/data/test/faults.ts"
import type { Step } from "../../packages/data/test/faults.ts"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { microPipelines, mounted, runMicro } from "./micro.ts"
import type { MicroPipeline } from "./micro.ts"
import { little, littleOptions, simulate, storeFolder, undisturbed } from "./simulated.ts"
import { chances, figure, patience } from "./torture.ts"

const changing = new Set(["create", "write", "fsync", "rename", "fsyncFolder", "makeFolder", "remove"])

/** Names what a step is done to; drafts that hold a training's state are checkpoints. */
const namer = () => {
  const checkpoints = new Set<string>()
  let last = ""
  return ({ verb, path }: Step): string => {
    const [area = "", draft = "", file] = path.slice(storeFolder.length + 1).split("/")
    if (area === "runs") return file === undefined ? "run folder" : basename(path).split(".")[0]!
    if (area === "locks") return "lock"
    if (area === "tmp" && file === "training.safetensors") checkpoints.add(draft)
    if (area === "tmp" && draft !== "") last = draft
    const kind = checkpoints.has(last) ? "checkpoint" : "artifact"
    if (verb === "rename") return kind
    return area === "artifacts" || draft === ""
      ? `${area || basename(dirname(path))} folder`
      : file === undefined
        ? `${kind} draft`
        : `${kind} ${file === "manifest.jsonl" ? "manifest" : "file"}`
  }
}

/** Dies at the first point that `isNext` picks; nothing happens on the disk after it. */
const stopping = (disk: FilesShape, isNext: (point: string) => boolean): FilesShape => {
  const nameOf = namer()
  let dead = false
  return withFaults(disk, (step, run) => {
    if (dead) return Effect.die("stopped")
    if (!changing.has(step.verb)) return run
    const name = `${step.verb} ${nameOf(step)}`
    const stop = Effect.suspend(() => Effect.die(`stopped at ${name}`))
    if (isNext(`before ${name}`)) {
      dead = true
      return stop
    }
    return Effect.tap(run, () => {
      if (!isNext(`after ${name}`)) return Effect.void
      dead = true
      return stop
    })
  })
}

const onDisk = async (pipeline: MicroPipeline, disk: FilesShape) => {
  const { record } = await runMicro({ pipeline, store: storeFolder, files: await mounted(storeFolder, disk) })
  return record
}

/** Stops at each point once; gives how many there were. */
const stopAtAll = async (pipeline: MicroPipeline): Promise<number> => {
  const points = new Set<string>()
  const seeing = stopping(makeMemoryDisk().files, (point) => (points.add(point), false))
  const expected = digests((await onDisk(pipeline, seeing))!)
  const chance = chances("R2", pipeline)
  // How often a point is passed before the run stops there.
  const passes = new Map([...points].map((point) => [point, Math.floor(chance() * 4)]))
  while (passes.size > 0) {
    const disk = makeMemoryDisk()
    for (;;) {
      const left = passes.size
      const stopped = stopping(disk.files, (point) => {
        const more = passes.get(point)
        if (more === undefined) return false
        if (more > 0) passes.set(point, more - 1)
        return more === 0 && passes.delete(point)
      })
      const record = await onDisk(pipeline, stopped)
      if (record === undefined && passes.size === left) throw new Error(`${pipeline} failed by itself`)
      if (record !== undefined) break
    }
    const record = await onDisk(pipeline, disk.files)
    assert.deepStrictEqual(digests(record!), expected, pipeline)
    for (const point of passes.keys()) passes.set(point, 0)
  }
  return points.size
}

describe("a run stopped at a commit point", () => {
  it(
    "R2: before every step on the disk, the next run ends with the same bytes",
    async () => {
      const expected = digests(await undisturbed(little, littleOptions))
      let k = 1
      for (let isDone = false; !isDone; k++) {
        const disk = makeMemoryDisk()
        isDone = (await simulate(withFaults(disk.files, killAt(k)), little, littleOptions)).record !== undefined
        const { record, error } = await simulate(disk.files, little, littleOptions)
        assert.strictEqual(error, "", `step ${k}`)
        assert.deepStrictEqual(digests(record!), expected, `step ${k}`)
      }
      figure("R2", `the small plan stopped before each of its ${k - 2} steps: 0 ended differently`)
    },
    patience(60_000)
  )

  it.each(microPipelines)(
    "R2: at every named point of pipelines/micro/%s, the next run ends with the same bytes",
    async (pipeline) => {
      const points = await stopAtAll(pipeline)
      figure("R2", `micro/${pipeline} stopped at each of ${points} named points: 0 ended differently`)
    },
    patience(300_000)
  )
})
