/**
 * R19: a run's process dies of a full heap of 256 MiB, or is killed, in the middle of a node. The process that watches over it
 * ends with 1 and names the node, its rows and batch size and the command that goes on; and that command ends with the bytes of
 * an undisturbed run. Where the one that watches is killed, the run is gone as well.
 *
 * Memory of the compiled engine is not V8's: it fails as R504, which names the node and says to lower batch_size.
 */
import { spawn } from "node:child_process"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import { artifactsOf, bin, bootlace, emptyFolder, root, runJson } from "../bootlace.ts"
import { figure, patience } from "./torture.ts"

const heap_mib = 256
const pipeline = join(import.meta.dirname, "hungry", "hungry.yaml")
const argumentsOf = (store: string) => [pipeline, "--store", store, "--threads", "1"]

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** Starts a run that waits in its third node; gives the process that runs, and what becomes of the one that watches. */
const waiting = async (store: string) => {
  const file = join(emptyFolder(), "pid")
  const watch = spawn(process.execPath, [bin, "run", ...argumentsOf(store)], {
    cwd: root,
    env: { ...process.env, HUNGRY: file },
    stdio: ["ignore", "ignore", "pipe"]
  })
  let stderr = ""
  watch.stderr.on("data", (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<string>((resolve) =>
    watch.on("close", (code, signal) => resolve(`${signal ?? code}\n${stderr}`))
  )
  while (!existsSync(file) || readFileSync(file, "utf8") === "") await setTimeout(20)
  return { watch, run: Number(readFileSync(file, "utf8")), ended }
}

describe("a process that dies in a node", () => {
  it(
    "R19: ends with 1, names node and batch size, and loses only what was not committed",
    async () => {
      const store = emptyFolder()
      const killed = await waiting(store)
      process.kill(killed.run, "SIGKILL")
      const said = await killed.ended
      assert.match(said, /^1\n/)
      assert.match(said, /error\[R425\] node=hungry, at work on 4 rows, batch_size 4: .* killed \(SIGKILL\)/)
      assert.match(said, /resume: npx bootlace run .*hungry\.yaml --store /)

      const alone = await waiting(store)
      alone.watch.kill("SIGKILL")
      // Its stderr is closed only when both processes have let go of it.
      assert.match(await alone.ended, /^SIGKILL\n/)
      for (let n = 0; isAlive(alone.run) && n < 500; n++) await setTimeout(20)
      assert.isFalse(isAlive(alone.run), "the run outlived the process that watched over it")

      const starved = await bootlace(["run", ...argumentsOf(store)], {
        command: [process.execPath, `--max-old-space-size=${heap_mib}`, bin],
        env: { HUNGRY: "heap" }
      })
      assert.strictEqual(starved.status, 1, starved.stderr)
      assert.include(starved.stderr, "JavaScript heap out of memory")
      assert.match(
        starved.stderr,
        /error\[R425\] node=hungry, at work on 4 rows, batch_size 4: .* heap of \d+ MiB is full/
      )
      assert.match(starved.stderr, /hint: lower batch_size of hungry, or .*--max-old-space-size/)

      const resumed = await runJson(argumentsOf(store))
      const kept = Object.values(resumed.nodes).filter(({ cached }) => cached).length
      assert.strictEqual(kept, 2)
      assert.deepStrictEqual(artifactsOf(resumed), artifactsOf(await runJson(argumentsOf(emptyFolder()))))
      figure(
        "R19",
        `dead of a heap of ${heap_mib} MiB, and of kill -9: exit 1 naming node and batch size; resumed to the same bytes with ${kept} of 3 nodes kept`
      )
    },
    patience(900_000)
  )
})
