/**
 * R6: bytes of the cache change between two runs, in six ways: a flipped bit, a cut end, zeros, two artifacts' files swapped,
 * an empty file, bytes too many.
 *
 * The next run must see each of them, warn once and name its key, make it again, and end with the same bytes.
 */
import { writeFile, Files } from "@bootlace/data"
import type { FilesShape } from "@bootlace/data"
import { Effect } from "effect"
import { assert, describe, it } from "vitest"
import { makeMemoryDisk } from "../../packages/data/test/memoryFiles.ts"
import { digests } from "../../packages/runtime/test/pipelines.ts"
import { little, littleOptions, simulate, storeFolder, undisturbed } from "./simulated.ts"
import { chances, figure, patience, times } from "./torture.ts"

type Bytes = Uint8Array<ArrayBuffer>
type Chance = () => number

/** One file of one artifact. */
interface Entry {
  readonly key: string
  readonly path: string
  readonly bytes: Bytes
}

const flipped = ({ bytes }: Entry, chance: Chance): Bytes => {
  const damaged = bytes.slice()
  damaged[Math.floor(chance() * bytes.length)]! ^= 1 << Math.floor(chance() * 8)
  return damaged
}

/** What stands in the file afterwards. */
const damages: Readonly<Record<string, (entry: Entry, chance: Chance, other: Entry) => Bytes>> = {
  flip: flipped,
  cut: ({ bytes }, chance) => bytes.slice(0, 1 + Math.floor(chance() * (bytes.length - 1))),
  zero: ({ bytes }) => new Uint8Array(bytes.length),
  swap: (_, __, other) => other.bytes,
  empty: () => new Uint8Array(),
  extra: ({ bytes }, chance) => new Uint8Array([...bytes, Math.floor(chance() * 256)])
}
const kinds = Object.keys(damages)

const overwrite = (files: FilesShape, { path }: Entry, bytes: Bytes) =>
  files
    .remove(path)
    .pipe(Effect.andThen(writeFile(path, [bytes])), Effect.provideService(Files, files), Effect.runPromise)

/** A random file of every artifact. */
const entriesOf = (files: FilesShape, chance: Chance): Promise<ReadonlyArray<Entry>> => {
  const folder = `${storeFolder}/artifacts`
  const entries = Effect.gen(function* () {
    const keys = yield* files.list(folder)
    return yield* Effect.forEach(keys, (key) =>
      Effect.gen(function* () {
        const names = yield* files.list(`${folder}/${key}`)
        const path = `${folder}/${key}/${names[Math.floor(chance() * names.length)]!}`
        return { key, path, bytes: yield* files.read(path) }
      })
    )
  })
  return Effect.runPromise(entries)
}

const rarest = (counts: Readonly<Record<string, number>>): string =>
  kinds.reduce((least, kind) => (counts[kind]! < counts[least]! ? kind : least))

const equal = (a: Bytes, b: Bytes): boolean => Buffer.compare(a, b) === 0

describe("a cache whose bytes change", () => {
  it(
    "R6: 3,000 corrupted entries are all seen, made again and named",
    async () => {
      const expected = digests(await undisturbed(little, littleOptions))
      const disk = makeMemoryDisk()
      await simulate(disk.files, little, littleOptions)
      const counts = Object.fromEntries(kinds.map((kind) => [kind, 0]))
      const wanted = times(500)
      for (let round = 0; Math.min(...Object.values(counts)) < wanted; round++) {
        const chance = chances("R6", round)
        const entries = await entriesOf(disk.files, chance)
        const damaged = new Set<string>()
        for (const [i, entry] of entries.entries()) {
          if (damaged.has(entry.key)) continue
          const kind = rarest(counts)
          const other = entries[(i + 1) % entries.length]!
          const bytes = damages[kind]!(entry, chance, other)
          if (equal(bytes, entry.bytes) || (kind === "swap" && damaged.has(other.key))) continue
          await overwrite(disk.files, entry, bytes)
          if (kind === "swap") await overwrite(disk.files, other, entry.bytes)
          for (const each of kind === "swap" ? [entry, other] : [entry]) damaged.add(each.key)
          counts[kind]! += 1
        }
        const { record, error, warnings } = await simulate(disk.files, little, littleOptions)
        assert.strictEqual(error, "", `round ${round}`)
        const named = warnings.map((text) => /artifact ([0-9a-f]{64}) is damaged/.exec(text)?.[1])
        assert.strictEqual(named.length, damaged.size)
        assert.deepStrictEqual(new Set(named), damaged, `round ${round}`)
        assert.deepStrictEqual(digests(record!), expected, `round ${round}`)
      }
      const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
      const each = Object.entries(counts).map(([kind, count]) => `${count} ${kind}`)
      figure("R6", `${total} of ${total} corrupted entries detected and made again (${each.join(", ")})`)
    },
    patience(120_000)
  )
})
