/**
 * Damaged files of another tool, given to the parser's process: what came of them, and how long the slowest took.
 *
 * A third of the mutants has bits flipped, a third a number overwritten, a third a cut end.
 */
import { DataError, makeForeignParser, withLimits } from "@bootlace/data"
import type { ForeignParser, WantedColumn } from "@bootlace/data"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert } from "vitest"
import { emptyFolder } from "../bootlace.ts"

export const fixtures = new URL("../../packages/data/test/fixtures/", import.meta.url).pathname

export const pairColumns: ReadonlyArray<WantedColumn> = [
  { names: ["image"], as: "image", type: "image" },
  { names: ["text"], as: "text", type: "text" }
]

/** Short, so that files which hang do not make the test long. */
export const timeout_ms = 250
/** Promised for the default limits. */
export const promised_ms = 5_000

export const mutant = (whole: Buffer, chance: () => number): Buffer => {
  const kind = Math.floor(chance() * 3)
  if (kind === 0) return whole.subarray(0, Math.floor(chance() * whole.length))
  const bytes = Buffer.from(whole)
  const at = (room: number): number => Math.floor(chance() * (bytes.length - room))
  if (kind === 1) for (let i = Math.floor(chance() * 3); i >= 0; i--) bytes[at(0)]! ^= 1 << Math.floor(chance() * 8)
  if (kind === 2) bytes.writeInt32LE(Math.floor((chance() - 0.5) * 2 ** (1 + Math.floor(chance() * 31))), at(4))
  return bytes
}

export interface Tally {
  files: number
  read: number
  refused: number
  /** The parser's process was killed, or ended by itself. */
  stopped: number
  slowest_ms: number
}

/** Reads the first shard of every file; after the last the parser must still read a good one. */
export const tallyForeign = (
  format: "arrow" | "parquet",
  files: Iterable<Buffer>,
  good: { readonly path: string; readonly rows: number }
): Promise<Tally> => {
  const path = join(emptyFolder(), `hostile.${format}`)
  const tally: Tally = { files: 0, read: 0, refused: 0, stopped: 0, slowest_ms: 0 }
  const one = Effect.fnUntraced(function* (parser: ForeignParser, bytes: Buffer) {
    writeFileSync(path, bytes)
    const start = performance.now()
    const result = yield* Effect.result(parser.read(format, path, 0, pairColumns))
    tally.slowest_ms = Math.max(tally.slowest_ms, performance.now() - start)
    tally.files += 1
    if (result._tag === "Success") return void (tally.read += 1)
    assert.instanceOf(result.failure, DataError)
    assert.include(result.failure.message, path)
    if (result.failure.code === "ParserStopped") tally.stopped += 1
    else tally.refused += 1
  })
  return Effect.gen(function* () {
    const parser = yield* makeForeignParser(withLimits({ parser_timeout_ms: timeout_ms }))
    for (const bytes of files) yield* one(parser, bytes)
    const patient = yield* makeForeignParser(withLimits({ parser_timeout_ms: 30_000 }))
    assert.strictEqual((yield* patient.read(format, good.path, 0, pairColumns)).numRows, good.rows)
    return tally
  }).pipe(Effect.scoped, Effect.runPromise)
}

export const told = ({ files, read, refused, stopped, slowest_ms }: Tally): string =>
  `${files} files: ${read} read, ${refused} refused, ${stopped} stopped by the limits; the slowest ${slowest_ms.toFixed(0)} ms with a limit of ${timeout_ms} ms and the start of a new process`
