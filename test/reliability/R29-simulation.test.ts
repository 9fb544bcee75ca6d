/**
 * R29: whole runs in one process under every fault at once. A random plan of 2 to 12 nodes runs on files in memory; at each
 * step on the disk there is one chance in a hundred that it fails, that half of it is written, that the process is killed or
 * that the power goes. Whatever ends a run, the next takes it up.
 *
 * Then the digests of all nodes equal those of an undisturbed run, and every row is counted once, as kept or as rejected.
 */
import { DataError } from "@bootlace/data"
import type { FilesShape } from "@bootlace/data"
import type { RunRecord } from "@bootlace/graph"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { withFaults } from "../../packages/data/test/faults.ts"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { randomPlan } from "./randomPlan.ts"
import { littleOptions, simulate, undisturbed } from "./simulated.ts"
import { chances, figure, patience, times } from "./torture.ts"

const rate = 0.01
const codes = ["Unreadable", "Unwritable", "NotDurable", "DiskFull"] as const

interface Faults {
  errors: number
  kills: number
  cuts: number
}

/** Files of a process that may be killed; after that none of its steps happens. `power` says how it was killed. */
const unlucky = (base: FilesShape, chance: () => number, faults: Faults) => {
  const end = { dead: false, power: false }
  const files = withFaults(base, (step, run) => {
    if (end.dead) return Effect.die("killed")
    if (chance() >= rate) return run
    const luck = chance()
    if (luck < 0.5) {
      faults.errors += 1
      const code = codes[Math.floor(chance() * codes.length)]!
      const error = Effect.fail(new DataError({ code, file: step.path, detail: "simulated" }))
      // Done or not before it failed.
      return chance() < 0.5 ? error : Effect.andThen(run, error)
    }
    end.dead = true
    end.power = luck >= 0.75
    faults[end.power ? "cuts" : "kills"] += 1
    return Effect.die("killed")
  })
  return { files, end }
}

/** Up to six processes in trouble, then one on a quiet disk: a long plan alone has more than a hundred steps. */
const runUntilDone = async (yaml: string, chance: () => number, faults: Faults): Promise<RunRecord> => {
  const disk = makeMemoryDisk()
  for (let tries = 0; tries < 6; tries++) {
    const { files, end } = unlucky(disk.files, chance, faults)
    const { record } = await simulate(files, yaml, littleOptions)
    if (end.power) disk.cut(chance)
    else if (record !== undefined) break
  }
  const { record, error } = await simulate(disk.files, yaml, littleOptions)
  if (record === undefined) throw new Error(error)
  return record
}

const checkCounts = ({ nodes }: RunRecord, place: string): void => {
  for (const [id, { op, rows_in, rows_out, rejected }] of Object.entries(nodes)) {
    if (["Numbers", "Measure", "Embed", "Split"].includes(op))
      assert.strictEqual(rows_out + rejected, rows_in, `${place} ${id}`)
  }
}

describe("a whole run", () => {
  it(
    "R29: 200 random plans with faults at every hundredth step end as they do without",
    async () => {
      const runs = times(200)
      const faults: Faults = { errors: 0, kills: 0, cuts: 0 }
      for (let n = 0; n < runs; n++) {
        const yaml = randomPlan(chances("R29 plan", n))
        const expected = await undisturbed(yaml, littleOptions)
        const place = `plan ${n}\n${yaml}`
        const record = await runUntilDone(yaml, chances("R29 faults", n), faults).catch((cause: unknown) => {
          throw new Error(`${String(cause)}\n${place}`)
        })
        assert.deepStrictEqual(digests(record), digests(expected), place)
        checkCounts(record, place)
      }
      assert.isAbove(faults.errors + faults.kills + faults.cuts, runs)
      figure(
        "R29",
        `${runs} plans, ${faults.errors} failed steps, ${faults.kills} kills, ${faults.cuts} power cuts; 0 ended differently`
      )
    },
    patience(180_000)
  )
})
