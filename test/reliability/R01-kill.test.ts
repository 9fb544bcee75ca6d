/**
 * R1: kill -9 at random moments, real processes, real disk. One process runs the four micro pipelines side by side, so each
 * kill hits all four; the next process goes on in the stores that it finds, and begins a new store where a pipeline was done.
 *
 * In the end every file of every store's artifacts must be, byte for byte, that of a store which nothing disturbed.
 */
import { fork } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it, onTestFinished } from "vitest"
import { microPipelines } from "./micro.ts"
import { chances, figure, kills, patience } from "./torture.ts"

const victim = join(import.meta.dirname, "victim.ts")

/** Runs the victim until it ends or `kill_ms` after it has begun; gives the milliseconds that it worked. */
const runVictim = (folder: string, kill_ms?: number): Promise<number> =>
  new Promise((resolve, reject) => {
    const child = fork(victim, kill_ms === undefined ? [folder, "finish"] : [folder], {
      stdio: ["ignore", "ignore", "pipe", "ipc"]
    })
    let [begun, errors] = [0, ""]
    child.stderr!.on("data", (chunk: Buffer) => (errors += chunk.toString()))
    child.on("message", () => {
      begun = performance.now()
      if (kill_ms !== undefined) setTimeout(() => child.kill("SIGKILL"), kill_ms)
    })
    child.on("close", (code, signal) => {
      const isWell = kill_ms === undefined ? code === 0 : signal === "SIGKILL"
      if (isWell) resolve(performance.now() - begun)
      else reject(new Error(`the victim ended with ${code ?? signal}\n${errors}`))
    })
  })

/** sha256 of every file of a store's artifacts, by path. */
const filesOf = (store: string): Readonly<Record<string, string>> => {
  const artifacts = join(store, "artifacts")
  const files = readdirSync(artifacts).flatMap((key) =>
    readdirSync(join(artifacts, key)).map((name) => join(key, name))
  )
  const hash = (file: string) =>
    createHash("sha256")
      .update(readFileSync(join(artifacts, file)))
      .digest("hex")
  return Object.fromEntries(files.sort().map((file) => [file, hash(file)]))
}

const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "bootlace-kill-"))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

describe("kill -9", () => {
  it(
    `R1: ${kills} kills at random moments of four pipelines, the same bytes`,
    async () => {
      const undisturbed = temporary()
      const whole_ms = await runVictim(undisturbed)
      const folder = temporary()
      const chance = chances("R1")
      // Mostly soon, so that work is taken up often; now and then late, so that every part of a run is hit.
      for (let n = 0; n < kills; n++) await runVictim(folder, whole_ms * 0.4 * chance() ** 2)
      await runVictim(folder)
      let stores = 0
      for (const pipeline of microPipelines) {
        const expected = filesOf(join(undisturbed, pipeline, "0"))
        const done = readdirSync(join(folder, pipeline))
        for (const n of done) {
          const store = join(folder, pipeline, n)
          assert.deepStrictEqual(readdirSync(join(store, "tmp")), [], `${pipeline} ${n}`)
          assert.deepStrictEqual(filesOf(store), expected, `${pipeline} ${n}`)
          stores += 1
        }
      }
      figure(
        "R1",
        `${kills} kills, each of ${microPipelines.length} pipelines; ${stores} finished stores, 0 differ in any byte`
      )
    },
    patience(600_000)
  )
})
