import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DataError, encodeSafetensors, Files, openSafetensors, writeSafetensors } from "../src/index.ts"
import { temporaryFolder } from "./folders.ts"

const parity = new URL("../../../test/parity/", import.meta.url).pathname

describe("safetensors", () => {
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
