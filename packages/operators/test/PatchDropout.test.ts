/** Train with `patch_dropout`: which patches a step looks at. */
import { makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensor, Program } from "@bootlace/engine"
import { uniforms } from "@bootlace/models"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { keptPatches } from "../src/tensor/PatchDropout.ts"
import { filesFingerprint, runIn } from "./inMemory.ts"
import { newModel } from "./tinyPairs.ts"
import { history, train } from "./tinyTraining.ts"

const models = { clip: await newModel("clip"), blip: await newModel("blip"), siglip: await newModel("siglip") }
const at = { seed: 3, node: "image", step: 2, batch_size: 8, first: 0, count: 8, epoch: 0 }

const rowsOf = ({ data, shape: [rows = 0, K = 0] }: HostTensor): ReadonlyArray<ReadonlyArray<number>> =>
  Array.from({ length: rows }, (_, row) => Array.from(data.subarray(row * K, (row + 1) * K)))

describe("keptPatches", () => {
  it("draws other patches for every row and step, in order and without repeats", () => {
    const rows = rowsOf(keptPatches(64, 0.5, at))
    expect(rows.map((row) => row.length)).toEqual(Array(8).fill(32))
    for (const row of rows) expect(row).toEqual([...new Set(row)].sort((a, b) => a - b))
    expect(rows.flat().every((patch) => patch >= 0 && patch < 64)).toBe(true)
    expect(new Set([...rows, ...rowsOf(keptPatches(64, 0.5, { ...at, step: 3 }))].map(String)).size).toBe(16)
  })

  it("draws the same for a row of a micro-batch", () => {
    expect(rowsOf(keptPatches(64, 0.75, { ...at, first: 5, count: 2 }))).toEqual(
      rowsOf(keptPatches(64, 0.75, at)).slice(5, 7)
    )
  })

  it("keeps every patch about equally often, and at least one", () => {
    const counts = Array(16).fill(0) as Array<number>
    for (const patch of rowsOf(keptPatches(16, 0.5, { ...at, count: 2000 })).flat()) counts[patch]! += 1
    // 1000 of 2000 each, with a standard deviation of 22.
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(112)
    expect(rowsOf(keptPatches(4, 0.99, at))[0]).toHaveLength(1)
  })
})

const pixels: HostTensor = { shape: [2, 3, 16, 16], dtype: "float32", data: uniforms([1, 2], 2 * 3 * 256) }

/** The image's embeddings from these of its four patches of 8 x 8, with the pixels given. */
const embedded = async (architecture: "clip" | "blip", kept: ReadonlyArray<number> | undefined, given = pixels) => {
  const { model, weights } = await runIn({}, readModel("test", models[architecture]))
  const program: Program = {
    name: "test",
    weights: Object.keys(weights),
    run: (all, { pixels, kept }) => ({ embeds: model.encodeImage(all, pixels!, kept).image_embeds })
  }
  const rows = kept && {
    kept: { shape: [2, kept.length], dtype: "int32" as const, data: Int32Array.from([...kept, ...kept]) }
  }
  const effect = Effect.gen(function* () {
    const loaded = yield* (yield* makeOnnxExecutor({ threads: 1 })).load(weights)
    return yield* loaded.run(program, { pixels: given, ...rows })
  })
  const { embeds } = await Effect.runPromise(Effect.scoped(effect))
  return Array.from(embeds!.data)
}

const far = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))

describe.each(["clip", "blip"] as const)("the image tower of %s on some patches", (architecture) => {
  it("gives with all patches what it gives without a choice, in any order", async () => {
    const whole = await embedded(architecture, undefined)
    expect(far(await embedded(architecture, [0, 1, 2, 3]), whole)).toBeLessThan(1e-6)
    expect(far(await embedded(architecture, [2, 0, 3, 1]), whole)).toBeLessThan(1e-5)
    expect(far(await embedded(architecture, [0, 2]), whole)).toBeGreaterThan(1e-3)
  })

  it("sees nothing of the others", async () => {
    const [left, right] = [pixels.data.slice() as Float32Array, pixels.data.slice() as Float32Array]
    for (let i = 0; i < left.length; i++) (i % 16 < 8 ? left : right)[i] = 0
    const chosen = await embedded(architecture, [1, 3])
    expect(far(await embedded(architecture, [1, 3], { ...pixels, data: left }), chosen)).toBe(0)
    expect(far(await embedded(architecture, [1, 3], { ...pixels, data: right }), chosen)).toBeGreaterThan(1e-3)
  })
})

describe("patch_dropout", () => {
  const config = { objectives: ["itc"], batch_size: 8, steps: 3, patch_dropout: 0.5 }

  it("goes on from a checkpoint with the same bytes, of all objectives", async () => {
    const three = { ...config, objectives: ["itc", "itm", "lm"] }
    const whole = await train(models.blip, three)
    expect(filesFingerprint((await train(models.blip, three, { stopAt: 1 })).files)).toEqual(
      filesFingerprint(whole.files)
    )
  })

  it("has the same patches in micro-batches", async () => {
    const [whole, parts] = [
      await train(models.clip, config),
      await train(models.clip, { ...config, micro_batch_size: 3 })
    ]
    const losses = (entries: ReturnType<typeof history>) => entries[0]!["itc_loss"]!
    expect(losses(history(parts.files))).toBeCloseTo(losses(history(whole.files)), 5)
    const { patch_dropout: _, ...without } = config
    expect(losses(history((await train(models.clip, without)).files))).not.toBeCloseTo(losses(history(whole.files)), 4)
  })

  it("is refused for a tower without a class token", async () => {
    await expect(train(models.siglip, config)).rejects.toThrow(/needs an image tower with a class token: clip or blip/)
  })
})
