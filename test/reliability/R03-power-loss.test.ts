/**
 * R3: the power goes in the middle of a run. Whatever was not flushed may be there afterwards or not, in any order, whole, cut
 * or as zeros; a run is cut off once, twice or three times at random steps, and then goes on.
 *
 * Every run after a cut must find a store that it can use, and the last one must end with the bytes of an undisturbed run.
 * Nothing torn passes for an artifact, and after a run that got through nothing has to be done again.
 */
import { assert, describe, it } from "vitest"
import { killAt, withFaults } from "../../packages/data/test/faults.ts"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { little, littleOptions, simulate, undisturbed } from "./simulated.ts"
import { chances, figure, patience, times } from "./torture.ts"

describe("a power cut", () => {
  it(
    "R3: at random steps of a run loses nothing that was committed and shows nothing torn",
    async () => {
      const expected = digests(await undisturbed(little, littleOptions))
      const schedules = times(200)
      let [cuts, warned] = [0, 0]
      for (let n = 0; n < schedules; n++) {
        const chance = chances("R3", n)
        const disk = makeMemoryDisk()
        for (let cut = Math.floor(chance() * 3); cut >= 0; cut--) {
          const step = 1 + Math.floor(chance() * 400)
          const { record, warnings } = await simulate(withFaults(disk.files, killAt(step)), little, littleOptions)
          // What an earlier cut left unflushed must not pass for an artifact, so nothing is ever found damaged.
          warned += warnings.length
          disk.cut(chance)
          cuts += 1
          if (record === undefined) continue
          const after = await simulate(disk.files, little, littleOptions)
          assert.strictEqual(
            Object.values(after.record!.nodes).every(({ cached }) => cached),
            true,
            `schedule ${n}`
          )
        }
        const last = await simulate(disk.files, little, littleOptions)
        assert.strictEqual(last.error, "", `schedule ${n}`)
        assert.deepStrictEqual(digests(last.record!), expected, `schedule ${n}`)
      }
      assert.strictEqual(warned, 0)
      figure("R3", `${schedules} schedules, ${cuts} power cuts, 0 torn artifacts seen, 0 ended differently`)
    },
    patience(120_000)
  )
})
