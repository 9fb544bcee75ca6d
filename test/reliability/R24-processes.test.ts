/**
 * R24: two to eight processes at once in one store, their plans alike but for one node, so that all of them want to commit the
 * same artifacts, checkpoints among them. Before that, one of them was killed and has left its lock. All must end with the bytes
 * of a run alone; of two runs of one plan, the second is told who has it.
 */
import { spawn } from "node:child_process"
import { existsSync, readdirSync, statSync } from "node:fs"
import { hostname } from "node:os"
import { join } from "node:path"
import { setTimeout } from "node:timers/promises"
import { assert, describe, it } from "vitest"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { emptyFolder } from "../bootlace.ts"
import { neighbourPlan } from "./neighbourPlan.ts"
import { undisturbed } from "./simulated.ts"
import { atLength, chances, figure, patience } from "./torture.ts"

const neighbour = join(import.meta.dirname, "neighbour.ts")

interface Said {
  readonly pid: number
  readonly digests?: Readonly<Record<string, string>>
  readonly error?: string
}

const start = (store: string, number: number) => {
  const child = spawn(process.execPath, [neighbour, store, String(number)], { stdio: ["ignore", "pipe", "inherit"] })
  let output = ""
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()))
  const said = new Promise<Said>((resolve) =>
    // Warnings, if any, stand before the last line.
    child.on("close", () =>
      resolve({ pid: child.pid!, ...(JSON.parse(output.trim().split("\n").at(-1) || "{}") as object) })
    )
  )
  return { child, said }
}

/** Whether a run holds a lock and has written its name into it. */
const isLocked = (store: string): boolean => {
  const folder = join(store, "locks")
  return existsSync(folder) && readdirSync(folder).some((name) => statSync(join(folder, name)).size > 0)
}

/** Kills a run soon after it has taken its lock. */
const leaveLock = async (store: string, wait_ms: number): Promise<void> => {
  const { child, said } = start(store, 0)
  while (!isLocked(store)) await setTimeout(5)
  await setTimeout(wait_ms)
  child.kill("SIGKILL")
  await said
  assert.isTrue(isLocked(store), "the run was killed too late to leave its lock")
}

describe("several processes in one store", () => {
  it(
    "R24: two to eight at once all end right, and the lock of a dead one is taken",
    async () => {
      const sizes = Array.from({ length: atLength(3, 50) }, (_, i) => [2, 4, 8, 3, 5, 6, 7][i % 7]!)
      const expected = await Promise.all(
        Array.from({ length: 8 }, async (_, number) => digests(await undisturbed(neighbourPlan(number))))
      )
      let processes = 0
      for (const [round, size] of sizes.entries()) {
        const store = emptyFolder()
        await leaveLock(store, 300 * chances("R24", round)())
        const all = await Promise.all(Array.from({ length: size }, (_, number) => start(store, number).said))
        for (const [number, { digests: made, error }] of all.entries())
          assert.deepStrictEqual(made, expected[number], `round ${round}, process ${number}: ${error}`)
        for (const folder of ["tmp", "locks"]) assert.deepStrictEqual(readdirSync(join(store, folder)), [], folder)
        processes += size
      }
      figure(
        "R24",
        `${sizes.length} stores, ${processes} processes, ${sizes.length} locks of killed ones taken: 0 ended differently`
      )
    },
    patience(1_200_000)
  )

  it("R24: of two runs of one plan the second is told who has it", async () => {
    const store = emptyFolder()
    const first = start(store, 0)
    while (!isLocked(store)) await setTimeout(5)
    // At rest it can't be done before the second has started.
    first.child.kill("SIGSTOP")
    const second = await start(store, 0).said
    first.child.kill("SIGCONT")
    assert.match(second.error ?? "", new RegExp(`R424.*process ${first.child.pid} on ${hostname()}`))
    assert.isDefined((await first.said).digests)
    figure("R24", "the second run of a plan was refused and told the first one's process and host")
  })
})
