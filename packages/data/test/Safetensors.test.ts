import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import fc from "fast-check"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import {
  DataError,
  defaultLimits,
  encodeSafetensors,
  Files,
  openSafetensors,
  parseSafetensorsHeader,
  writeSafetensors
} from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const parity = new URL("../../../test/parity/", import.meta.url).pathname

const readHeader = (bytes: Uint8Array) => {
  const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true))
  return parseSafetensorsHeader(bytes.subarray(8, 8 + length), bytes.length - 8 - length, defaultLimits, "file")
}

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
  "a header nested too deep": [file(`{"a":${"[".repeat(100)}${"]".repeat(100)}}`), "json_depth is limited"]
}

describe("safetensors", () => {
  it.effect.each(Object.keys(hostile))("refuse %s", (name) =>
    Effect.gen(function* () {
      const [bytes, message] = hostile[name]!
      const folder = yield* temporaryFolder({ "model.safetensors": bytes })
      const error = yield* Effect.flip(openSafetensors(join(folder, "model.safetensors")))
      assert.instanceOf(error, DataError)
      assert.include(error.message, message)
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it("are read whole or refused, whatever the damage to the header", () => {
    const good = Buffer.concat(encodeSafetensors({ a: { dtype: "F32", shape: [2, 3], data: new Float32Array(6) } }))
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(good.length - 25), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = Buffer.from(good)
          for (const [at, to] of changes) bytes[8 + (at % (good.length - 32))] = to
          try {
            for (const info of readHeader(bytes).tensors.values()) assert.isAtMost(info.offset + info.byteLength, 24)
          } catch (error) {
            assert.instanceOf(error, DataError)
          }
        }
      ),
      { numRuns: 2_000 }
    )
  })

  it.effect("give back what was written", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder()
      const path = join(folder, "x.safetensors")
      const halves = Uint16Array.of(0x3c00, 0xc000, 0x0001, 0x7c00, 0x7e00, 0x8000, 0x03ff)
      yield* writeSafetensors(
        path,
        {
          "b.F32": { dtype: "F32", shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 3e38) },
          a: { dtype: "U8", shape: [3], data: Uint8Array.of(1, 2, 3) },
          ids: { dtype: "I64", shape: [2], data: BigInt64Array.of(-5n, 7n) },
          half: { dtype: "F16", shape: [7], data: halves },
          brain: { dtype: "BF16", shape: [2], data: Uint16Array.of(0x3f80, 0xc040) },
          empty: { dtype: "F32", shape: [0, 4], data: new Float32Array() },
          __proto__x: { dtype: "I32", shape: [], data: Int32Array.of(9) }
        },
        { format: "pt" }
      )
      const read = yield* openSafetensors(path)
      assert.deepStrictEqual(read.metadata, { format: "pt" })
      assert.deepStrictEqual([...(yield* read.float32("b.F32"))], [1, -2, 0.5, Math.fround(3e38)])
      assert.deepStrictEqual([...(yield* read.bytes("a"))], [1, 2, 3])
      assert.deepStrictEqual([...(yield* read.float32("ids"))], [-5, 7])
      assert.deepStrictEqual([...(yield* read.float32("brain"))], [1, -3])
      assert.deepStrictEqual([...(yield* read.float32("half"))], [1, -2, 2 ** -24, Infinity, NaN, -0, 1023 * 2 ** -24])
      assert.deepStrictEqual(read.tensors.get("empty")!.shape, [0, 4])
      assert.strictEqual((yield* Effect.flip(read.bytes("c"))).detail, "no tensor c")
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it("are equal bytes for equal tensors, in whatever order they come", () => {
    const a = { dtype: "F32", shape: [1], data: Float32Array.of(1) } as const
    const b = { dtype: "F32", shape: [1], data: Float32Array.of(2) } as const
    assert.deepStrictEqual(Buffer.concat(encodeSafetensors({ a, b })), Buffer.concat(encodeSafetensors({ b, a })))
    assert.throws(() => encodeSafetensors({ a: { ...a, shape: [2] } }), DataError, "needs 8 bytes, got 4")
  })

  it.effect("of transformers are read: F16 and BF16 weights among them", () =>
    Effect.gen(function* () {
      for (const [folder, dtype] of [
        ["clip_gelu", "F16"],
        ["blip_model", "BF16"],
        ["blip_itm", "F32"]
      ] as const) {
        const model = yield* openSafetensors(`${parity}${folder}/model.safetensors`)
        const [name, info] = [...model.tensors].find(
          ([, tensor]) => tensor.dtype === dtype && tensor.shape.length === 2
        )!
        const values = yield* model.float32(name)
        assert.strictEqual(values.length, info.shape[0]! * info.shape[1]!)
        assert.isTrue(values.every((value) => Math.abs(value) < 10))
        assert.isAbove(Math.max(...values), 0)
      }
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )

  it.effect("are refused when the file shrinks after the header was read", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder()
      const path = join(folder, "x.safetensors")
      yield* writeSafetensors(path, { a: { dtype: "F32", shape: [4], data: new Float32Array(4) } })
      const read = yield* openSafetensors(path)
      writeFileSync(path, readFileSync(path).subarray(0, -4))
      const error = yield* Effect.flip(read.bytes("a"))
      assert.strictEqual(error.code, "Unreadable")
    }).pipe(Effect.scoped, Effect.provide(Files.layer))
  )
})
