/**
 * R9: Arrow files made to mislead. Every prefix, flips and overwritten numbers, other schemas, absurd lengths, dictionaries that
 * name each other.
 *
 * Files of other tools: a batch or an error each, none takes the run along or holds it up. Our own shards are compared with
 * their sha256 before Arrow sees them, so every change of one is found.
 */
import { ArtifactStore, encodeShard, Files, makeBatch, scoreColumn, sha256, textColumn } from "@bootlace/data"
import {
  Binary,
  Dictionary,
  Field,
  Int32,
  Schema,
  Struct,
  Table,
  tableToIPC,
  Utf8,
  vectorFromArray
} from "apache-arrow"
import type { DataType } from "apache-arrow"
import { Effect, Layer, Logger } from "effect"
import { cpSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { emptyFolder } from "../bootlace.ts"
import { fixtures, mutant, promised_ms, tallyForeign, told } from "./foreign.ts"
import { chances, figure, patience, times } from "./torture.ts"

const whole = readFileSync(`${fixtures}pairs.arrow`)
const good = { path: `${fixtures}pairs.arrow`, rows: 5 }

const fileOf = (columns: Record<string, readonly [ReadonlyArray<unknown>, DataType]>): Buffer =>
  Buffer.from(
    tableToIPC(
      new Table(
        Object.fromEntries(
          Object.entries(columns).map(([name, [values, type]]) => [name, vectorFromArray(values as never, type)])
        )
      ),
      "file"
    )
  )

const texts = ["a", "b", "c"]

/** The numbers of two dictionaries, made one: Arrow's writer would refuse to. */
const [firstId, secondId] = [1_111_111, 2_222_222]
const sameNumber = (file: Buffer): Buffer => {
  const [from, to] = [Buffer.alloc(8), Buffer.alloc(8)]
  from.writeBigInt64LE(BigInt(secondId))
  to.writeBigInt64LE(BigInt(firstId))
  let replaced = 0
  for (let at = file.indexOf(from); at >= 0; at = file.indexOf(from, at + 8)) {
    to.copy(file, at)
    replaced += 1
  }
  assert.isAtLeast(replaced, 2)
  return file
}

/** A whole file that isn't what is wanted, or whose dictionaries share a number or stand in each other. */
const misleading = (): ReadonlyArray<Buffer> => {
  const first = new Dictionary(new Utf8(), new Int32(), firstId)
  const second = new Dictionary(new Utf8(), new Int32(), secondId)
  const inEachOther = new Dictionary(new Struct([new Field("text", second)]), new Int32(), firstId)
  return [
    fileOf({ image: [[1, 2, 3], new Int32()], text: [texts, new Utf8()] }),
    fileOf({ text: [texts, new Utf8()] }),
    fileOf({ image: [texts, new Utf8()], text: [[1, 2, 3], new Int32()] }),
    Buffer.from(tableToIPC(new Table(new Schema([])), "file")),
    sameNumber(fileOf({ image: [texts, first], text: [texts, second] })),
    sameNumber(fileOf({ image: [texts.map((text) => ({ text })), inEachOther], text: [texts, new Utf8()] })),
    Buffer.from("ARROW1\0\0ARROW1"),
    Buffer.alloc(0),
    Buffer.alloc(1 << 20, 0xff)
  ]
}

/** Every 4-byte place of the file's last 200 bytes with lengths that no file has: there stands the footer with its counts. */
function* absurd(): Iterable<Buffer> {
  for (const value of [0x7fffffff, -1]) {
    for (let at = whole.length - 202; at + 4 <= whole.length - 6; at += 4) {
      const bytes = Buffer.from(whole)
      bytes.writeInt32LE(value, at)
      yield bytes
    }
  }
}

const small = fileOf({ image: [texts.map((text) => Buffer.from(text)), new Binary()], text: [texts, new Utf8()] })

function* prefixes(): Iterable<Buffer> {
  for (let length = 0; length < small.length; length++) yield small.subarray(0, length)
}

function* mutants(count: number): Iterable<Buffer> {
  const chance = chances("R9")
  for (let i = 0; i < count; i++) yield mutant(whole, chance)
}

describe("hostile Arrow", () => {
  it(
    "R9: no file of another tool hangs or ends the run",
    async () => {
      const cut = await tallyForeign("arrow", prefixes(), good)
      assert.strictEqual(cut.files, small.length)
      assert.isAtLeast(cut.refused + cut.stopped, cut.files - 8)
      const changed = await tallyForeign("arrow", mutants(times(2_000)), good)
      const odd = await tallyForeign("arrow", [...misleading(), ...absurd()], good)
      for (const tally of [cut, changed, odd]) assert.isBelow(tally.slowest_ms, promised_ms * 10)
      figure("R9", `every prefix, ${told(cut)}`)
      figure("R9", `flips and numbers, ${told(changed)}`)
      figure("R9", `schemas, dictionaries and lengths, ${told(odd)}`)
    },
    patience(240_000)
  )

  it(
    "R9: every change of a shard of our own is found",
    async () => {
      const folder = emptyFolder()
      const key = sha256("own")
      const shard = encodeShard([makeBatch({ text: textColumn(texts), score: scoreColumn(Float32Array.of(1, 2, 3)) })])
      const store = <A, E>(use: (store: typeof ArtifactStore.Service) => Effect.Effect<A, E, never>) =>
        Effect.flatMap(ArtifactStore, use).pipe(
          Effect.provide(Layer.provideMerge(ArtifactStore.layer(folder), Files.layer)),
          Effect.provide(Logger.layer([])),
          Effect.runPromise
        )
      await store((service) =>
        Effect.scoped(
          Effect.gen(function* () {
            const draft = yield* service.begin(key)
            yield* draft.write("rows.arrow", shard)
            yield* draft.commit({ type: "rows", metrics: {}, rows_in: 3 })
          }) as Effect.Effect<void, unknown>
        )
      )
      const artifact = join(folder, "artifacts", key)
      const saved = join(emptyFolder(), "saved")
      cpSync(artifact, saved, { recursive: true })
      const chance = chances("R9", "own")
      const count = times(200)
      let found = 0
      for (let i = 0; i < count; i++) {
        const bytes = mutant(Buffer.from(shard), chance)
        if (bytes.equals(shard)) bytes[bytes.length - 1]! ^= 1
        // A damaged artifact is swept away, so it is laid there anew.
        cpSync(saved, artifact, { recursive: true })
        writeFileSync(join(artifact, "rows.arrow"), bytes)
        const opened = await store((service) => Effect.result(service.open(key) as Effect.Effect<unknown, unknown>))
        if (opened._tag === "Failure" || opened.success === undefined) found += 1
      }
      assert.strictEqual(found, count)
      figure("R9", `${found} of ${count} changed shards of our own found by their sha256`)
    },
    patience(60_000)
  )
})
