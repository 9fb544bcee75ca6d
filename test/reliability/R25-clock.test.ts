/**
 * R25: the clock jumps by up to a year with every look at it, back or forth, and the time zone changes between runs. No time is
 * in any key, hash or file of an artifact, and durations, which come from the monotonic clock, are never negative.
 */
import { DateTime, Duration, Effect } from "effect"
import type { Clock } from "effect"
import { afterEach, assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { artifactFiles, little, littleOptions, simulate, systemClock } from "./simulated.ts"
import { chances, figure, patience, times } from "./torture.ts"

/** From an ordinary day, from the hour that spring leaves out in Berlin, and from long ago. */
const starts = ["2026-11-24T12:00:00Z", "2026-03-29T01:30:00Z", "1969-12-31T23:59:59Z"].map((text) =>
  DateTime.toEpochMillis(DateTime.makeUnsafe(text))
)
const zones = ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Pacific/Kiritimati"]
const year_ms = Duration.toMillis("365 days")

const jumping = (start: number, chance: () => number): Clock.Clock => {
  const now = () => Math.round(start + (2 * chance() - 1) * year_ms)
  return {
    ...systemClock,
    sleep: (duration) => systemClock.sleep(duration),
    monotonicTimeNanosUnsafe: () => systemClock.monotonicTimeNanosUnsafe(),
    monotonicTimeNanos: systemClock.monotonicTimeNanos,
    currentTimeMillisUnsafe: now,
    currentTimeMillis: Effect.sync(now),
    currentTimeNanosUnsafe: () => BigInt(now()) * 1_000_000n,
    currentTimeNanos: Effect.sync(() => BigInt(now()) * 1_000_000n)
  }
}

const zone = process.env["TZ"]
afterEach(() => {
  if (zone === undefined) delete process.env["TZ"]
  else process.env["TZ"] = zone
})

describe("a clock that jumps", () => {
  it(
    "R25: leaves every byte of every artifact as it is, and no duration below zero",
    async () => {
      const undisturbed = makeMemoryDisk()
      await simulate(undisturbed.files, little, littleOptions)
      const expected = await artifactFiles(undisturbed.files)
      const runs = times(30)
      for (let n = 0; n < runs; n++) {
        process.env["TZ"] = zones[n % zones.length]!
        const disk = makeMemoryDisk()
        const clock = jumping(starts[n % starts.length]!, chances("R25", n))
        const { record, error } = await simulate(disk.files, little, littleOptions, clock)
        assert.isDefined(record, error)
        assert.deepStrictEqual(await artifactFiles(disk.files), expected)
        const seconds = [record!.seconds, ...Object.values(record!.nodes).map((node) => node.seconds)]
        assert.isTrue(seconds.every((each) => each >= 0))
        // The next look at the clock may be before the run began: it is found done all the same.
        const again = await simulate(disk.files, little, littleOptions, clock)
        assert.isTrue(Object.values(again.record!.nodes).every(({ cached }) => cached))
      }
      figure("R25", `${runs} runs, ${zones.length} time zones, each look at the clock up to a year off: 0 bytes differ`)
    },
    patience(60_000)
  )
})
