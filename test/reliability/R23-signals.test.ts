/**
 * R23: a run is told to stop, at random moments: SIGINT, SIGTERM, SIGINT twice, a reader of its output that has gone, a parent
 * that was killed. It must be gone within two seconds (20 are let pass here), with the code of the signal and the command that
 * resumes it; and what follows in the same store must end with the bytes of an undisturbed run.
 */
import { spawn } from "node:child_process"
import type { ChildProcess } from "node:child_process"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import { artifactsOf, bin, emptyFolder, root, runJson } from "../bootlace.ts"
import { atLength, chances, figure, patience } from "./torture.ts"

const pipeline = join(root, "pipelines/micro/capfilt.yaml")
const argumentsOf = (store: string) => [pipeline, "--store", store, "--threads", "1", "--set", "steps=16"]
const ceiling_s = 20

interface Stopped {
  /** null where a signal that nobody handled ended it. */
  readonly code: number | null
  readonly seconds: number
  readonly stderr: string
}

/** Starts a run, waits for its first line and some time, disturbs it and waits for its end. */
const disturbed = async (store: string, wait_ms: number, disturb: (child: ChildProcess) => void): Promise<Stopped> => {
  const child = spawn(process.execPath, [bin, "run", ...argumentsOf(store)], {
    cwd: root,
    stdio: ["ignore", "ignore", "pipe"]
  })
  let stderr = ""
  const begun = new Promise<void>((resolve) =>
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk.toString()
      resolve()
    })
  )
  const ended = new Promise<number | null>((resolve) => child.on("exit", resolve))
  await Promise.race([begun, ended])
  await setTimeout(wait_ms)
  const start = performance.now()
  disturb(child)
  const code = await ended
  return { code, seconds: (performance.now() - start) / 1000, stderr }
}

const ways: Readonly<Record<string, { readonly code: number; readonly disturb: (child: ChildProcess) => void }>> = {
  SIGINT: { code: 130, disturb: (child) => child.kill("SIGINT") },
  SIGTERM: { code: 143, disturb: (child) => child.kill("SIGTERM") },
  SIGHUP: { code: 129, disturb: (child) => child.kill("SIGHUP") },
  "SIGINT twice": {
    code: 130,
    disturb: (child) => {
      child.kill("SIGINT")
      void setTimeout(30).then(() => child.kill("SIGINT"))
    }
  },
  "closed pipe": { code: 141, disturb: (child) => child.stderr!.destroy() }
}

/** A parent that passes its own pipes on, is killed, and leaves the run alone. Gives the seconds until the run is gone. */
const orphaned = async (store: string, wait_ms: number): Promise<number> => {
  const script = `
    const run = require("node:child_process").spawn(process.execPath, ${JSON.stringify([bin, "run", ...argumentsOf(store)])}, { stdio: ["ignore", "pipe", "pipe"] })
    run.stderr.once("data", () => console.log(run.pid))
    setInterval(() => {}, 1000)`
  const parent = spawn(process.execPath, ["-e", script], { cwd: root, stdio: ["ignore", "pipe", "ignore"] })
  const pid = await new Promise<number>((resolve) =>
    parent.stdout.once("data", (chunk: Buffer) => resolve(Number(chunk.toString())))
  )
  await setTimeout(wait_ms)
  parent.kill("SIGKILL")
  const start = performance.now()
  const isAlive = (): boolean => {
    try {
      return process.kill(pid, 0)
    } catch {
      return false
    }
  }
  while (isAlive() && performance.now() - start < ceiling_s * 1000) await setTimeout(20)
  assert.isFalse(isAlive(), "the run outlived its parent")
  return (performance.now() - start) / 1000
}

describe("a run that is told to stop", () => {
  it(
    "R23: is gone within two seconds, says how to resume, and loses nothing",
    async () => {
      const expected = artifactsOf(await runJson(argumentsOf(emptyFolder())))
      let store = emptyFolder()
      const moments = atLength(3, 20)
      const figures: Array<string> = []
      for (const [way, { code, disturb }] of Object.entries(ways)) {
        const chance = chances("R23", way)
        let [slowest, finished] = [0, 0]
        for (let n = 0; n < moments; n++) {
          const ended = await disturbed(store, chance() * 1200, disturb)
          // It may have been done just before.
          if (ended.code === 0) {
            finished += 1
            store = emptyFolder()
            continue
          }
          assert.strictEqual(ended.code, code, `${way}\n${ended.stderr}`)
          if (way !== "closed pipe") assert.include(ended.stderr, "resume: npx bootlace run", way)
          slowest = Math.max(slowest, ended.seconds)
        }
        assert.isBelow(slowest, ceiling_s, way)
        assert.isBelow(finished, moments, way)
        figures.push(`${way} ${moments} times, exit ${code}, ${slowest.toFixed(2)} s at most`)
      }
      const chance = chances("R23", "orphaned")
      let alone = 0
      for (let n = 0; n < moments; n++) alone = Math.max(alone, await orphaned(store, chance() * 600))
      const resumed = await runJson(argumentsOf(store))
      assert.deepStrictEqual(artifactsOf(resumed), expected)
      assert.deepStrictEqual(readdirSync(join(store, "tmp")), [])
      assert.deepStrictEqual(readdirSync(join(store, "locks")), [])
      figure(
        "R23",
        `${figures.join("; ")}; parent killed ${moments} times, gone after ${alone.toFixed(2)} s at most; 0 ended differently`
      )
    },
    patience(1_200_000)
  )
})
