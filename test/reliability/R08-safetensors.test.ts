/**
 * R8: safetensors files made to mislead: impossible headers, shapes that overflow, overlaps, holes, a name twice, and small
 * files changed at random places.
 *
 * Each is refused with its file named, or gives exactly the bytes that stand in it; nothing is reserved on a header's word.
 */
import { DataError, Files, encodeSafetensors, openSafetensors } from "@bootlace/data"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "vitest"
import { emptyFolder } from "../bootlace.ts"
import { chances, figure, patience, times } from "./torture.ts"

const file = (header: unknown, data = 0): Buffer => {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header))
  const prefix = Buffer.alloc(8)
  prefix.writeBigUInt64LE(BigInt(json.length))
  return Buffer.concat([prefix, json, Buffer.alloc(data)])
}

const tensor = (shape: ReadonlyArray<unknown>, from: unknown, to: unknown, dtype: unknown = "F32") => ({
  dtype,
  shape,
  data_offsets: [from, to]
})

const hostile: Record<string, readonly [Buffer, string]> = {
  "too short": [Buffer.alloc(7), "7 bytes are too few"],
  "header of no bytes": [file(""), "JSON"],
  "header longer than the file": [file("{}").subarray(0, 9), "longer than the file"],
  "header of 2^63 bytes": [Buffer.from("0000000000000080", "hex"), "safetensors_header_bytes is limited"],
  "header of 17 MiB": [Buffer.from("0000100100000000", "hex"), "safetensors_header_bytes is limited"],
  "bad UTF-8": [file("{}").fill(0xff, 8), "not UTF-8"],
  "no JSON": [file("{x}"), "JSON"],
  "no object": [file([]), "no JSON object"],
  "text after the object": [file("{} {}"), "JSON"],
  "a name twice": [file('{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{}}'), 'key "a" stands twice'],
  "a tensor that is no object": [file({ a: 3 }), "described by 3"],
  "an unknown dtype": [file({ a: tensor([1], 0, 4, "F12") }, 4), 'dtype "F12"'],
  "an inherited dtype": [file({ a: tensor([1], 0, 4, "toString") }, 4), 'dtype "toString"'],
  "a negative side": [file({ a: tensor([-1], 0, 4) }, 4), "no valid shape"],
  "a broken side": [file({ a: tensor([1.5], 0, 6) }, 6), "no valid shape"],
  "a side of text": [file({ a: tensor(["1"], 0, 4) }, 4), "no valid shape"],
  "a shape that overflows": [file({ a: tensor([2 ** 40, 2 ** 40], 0, 4) }, 4), "too large"],
  "offsets backwards": [file({ a: tensor([1], 4, 0) }, 4), "no valid data_offsets"],
  "negative offsets": [file({ a: tensor([1], -4, 0) }, 4), "no valid data_offsets"],
  "three offsets": [file({ a: { dtype: "U8", shape: [1], data_offsets: [0, 1, 2] } }, 1), "no valid data_offsets"],
  "too few bytes for the shape": [file({ a: tensor([2], 0, 4) }, 4), "needs 8 bytes, data_offsets give 4"],
  "an overlap": [file({ a: tensor([2], 0, 8), b: tensor([2], 4, 12) }, 12), "starts at byte 4"],
  "a hole": [file({ a: tensor([1], 0, 4), b: tensor([1], 8, 12) }, 12), "starts at byte 8"],
  "bytes before the first tensor": [file({ a: tensor([1], 4, 8) }, 8), "starts at byte 4"],
  "bytes after the last tensor": [file({ a: tensor([1], 0, 4) }, 5), "end at byte 4 of 5"],
  "a file that is cut": [file({ a: tensor([2], 0, 8) }, 7), "end at byte 8 of 7"],
  "metadata of numbers": [file({ __metadata__: { a: 1 } }), "names to strings"],
  "a header of 4 GiB": [Buffer.from("0000000001000000", "hex"), "safetensors_header_bytes is limited"],
  "more tensors than the limit": [
    file(Object.fromEntries(Array.from({ length: 100_001 }, (_, i) => [`t${i}`, tensor([0], 0, 0)]))),
    "safetensors_tensors is limited"
  ],
  "a shape of 10,000 sides": [file({ a: tensor(Array(10_000).fill(2), 0, 4) }, 4), "too large"],
  "offsets beyond 2^53": [file({ a: tensor([1], 0, 2 ** 60) }, 4), "no valid data_offsets"],
  "a header nested too deep": [file(`{"a":${"[".repeat(100)}${"]".repeat(100)}}`), "json_depth is limited"]
}

/** Bytes of buffers that reading may take beyond the file itself. */
const spare = 32 * 1024 * 1024

/** All tensors of a file, or why it was refused. */
const readAll = (path: string) =>
  Effect.gen(function* () {
    const opened = yield* openSafetensors(path)
    const tensors = yield* Effect.forEach([...opened.tensors], ([name, { offset }]) =>
      Effect.map(opened.bytes(name), (bytes) => ({ offset, bytes }))
    )
    for (const name of opened.tensors.keys()) yield* opened.float32(name)
    return tensors
  }).pipe(Effect.scoped, Effect.provide(Files.layer), Effect.result, Effect.runPromise)

const good = Buffer.concat(
  encodeSafetensors({
    weight: { dtype: "F32", shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) },
    bias: { dtype: "F16", shape: [3], data: Uint16Array.of(1, 2, 3) },
    ids: { dtype: "I64", shape: [1], data: BigInt64Array.of(-1n) }
  })
)

/** One to four bytes changed, a number overwritten, an end cut or bytes added. */
const mutant = (chance: () => number): Buffer => {
  const bytes = Buffer.from(good)
  const at = (): number => Math.floor(chance() * bytes.length)
  const kind = Math.floor(chance() * 4)
  if (kind === 0) return bytes.subarray(0, at())
  if (kind === 1) return Buffer.concat([bytes, bytes.subarray(0, at())])
  if (kind === 2) for (let i = 0; i < 4; i++) bytes[at()] = 0x30 + Math.floor(chance() * 10)
  if (kind === 3) for (let i = Math.floor(chance() * 4); i >= 0; i--) bytes[at()]! ^= 1 << Math.floor(chance() * 8)
  return bytes
}

describe("hostile safetensors", () => {
  it(
    "R8: each is refused by name or read exactly, in bounded memory",
    async () => {
      const path = join(emptyFolder(), "model.safetensors")
      const names = Object.keys(hostile)
      assert.isAtLeast(names.length, 25)
      let most = 0
      const measured = async (bytes: Uint8Array) => {
        writeFileSync(path, bytes)
        const before = process.memoryUsage().arrayBuffers
        const result = await readAll(path)
        most = Math.max(most, process.memoryUsage().arrayBuffers - before - bytes.length)
        return result
      }
      for (const name of names) {
        const [bytes, said] = hostile[name]!
        const result = await measured(bytes)
        assert.strictEqual(result._tag, "Failure", name)
        if (result._tag === "Success") continue
        assert.instanceOf(result.failure, DataError)
        assert.include(result.failure.message, said, name)
        assert.include(result.failure.message, path, name)
      }
      const chance = chances("R8")
      const mutants = times(1_500)
      let refused = 0
      for (let i = 0; i < mutants; i++) {
        const bytes = mutant(chance)
        const result = await measured(bytes)
        if (result._tag === "Failure") {
          assert.instanceOf(result.failure, DataError)
          refused += 1
          continue
        }
        const start = 8 + Number(bytes.readBigUInt64LE(0))
        const covered = result.success.reduce((sum, tensor) => sum + tensor.bytes.length, 0)
        assert.strictEqual(covered, bytes.length - start, `mutant ${i}`)
        for (const { offset, bytes: read } of result.success) {
          const expected = bytes.subarray(start + offset, start + offset + read.length)
          assert.isTrue(expected.equals(read), `mutant ${i}`)
        }
      }
      assert.isAbove(refused, mutants / 4)
      assert.isBelow(refused, mutants)
      assert.isBelow(most, spare)
      const MiB = (most / 1024 / 1024).toFixed(1)
      figure(
        "R8",
        `${names.length} hostile files refused; ${mutants} mutants: ${refused} refused, the rest exact; at most ${MiB} MiB beyond the file`
      )
    },
    patience(60_000)
  )
})
