/** Train with `dropout`: BLIP's text transformer, in the engine that trains. */
import { makeEagerExecutor, makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensors, Program } from "@bootlace/engine"
import { dropoutKey, randomKey } from "@bootlace/models"
import type { TokenTensors } from "@bootlace/models"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { readModel } from "../src/tensor/ModelArtifact.ts"
import { filesFingerprint, runIn } from "./inMemory.ts"
import { newModel } from "./tinyPairs.ts"
import { history, train } from "./tinyTraining.ts"

const models = { clip: await newModel("clip"), blip: await newModel("blip") }
const losses = ["itc_loss", "itm_loss", "lm_loss"]
const all = { objectives: ["itc", "itm", "lm"], batch_size: 8, steps: 3 }
const firstOf = (entries: ReturnType<typeof history>, name: string): number => entries[0]![name]!

describe("the text transformer with dropout", () => {
  it("drops the same on the engine that trains and on the one that only evaluates", async () => {
    const { model, weights } = await runIn({}, readModel("test", models.blip))
    const program: Program = {
      name: "test",
      weights: Object.keys(weights),
      run: (all, { input_ids, attention_mask, key }) => {
        const text = { input_ids: input_ids!, attention_mask: attention_mask!, dropout: { rate: 0.3, key: key! } }
        return { embeds: model.encodeText(all, text satisfies TokenTensors) }
      }
    }
    const ids = (data: ReadonlyArray<number>) => ({
      shape: [2, 5],
      dtype: "int32" as const,
      data: Int32Array.from(data)
    })
    const inputs: HostTensors = {
      input_ids: ids([2, 5, 6, 7, 3, 2, 8, 3, 0, 0]),
      attention_mask: ids([1, 1, 1, 1, 1, 1, 1, 1, 0, 0]),
      key: { shape: [3], dtype: "int32", data: dropoutKey(randomKey(1), 4) }
    }
    const embedded = (of: ReturnType<typeof makeOnnxExecutor>) =>
      Effect.runPromise(
        Effect.scoped(
          Effect.gen(function* () {
            const loaded = yield* (yield* of).load(weights)
            return Array.from((yield* loaded.run(program, inputs))["embeds"]!.data)
          })
        )
      )
    const [onnx, eager] = [makeOnnxExecutor({ threads: 1 }), makeEagerExecutor({ backend: "cpu" })]
    const [a, b] = [await embedded(onnx), await embedded(eager)]
    // Another mask would be as far off as the numbers are large.
    expect(Math.max(...a.map((value, i) => Math.abs(value - b[i]!)))).toBeLessThan(1e-5)
    expect(Math.max(...a.map(Math.abs))).toBeGreaterThan(0.05)
  })

  it("goes on from a checkpoint with the same bytes, with the twin and in little memory too", async () => {
    const config = { ...all, dropout: 0.2 }
    const whole = await train(models.blip, config)
    expect(filesFingerprint((await train(models.blip, config, { stopAt: 1 })).files)).toEqual(
      filesFingerprint(whole.files)
    )
    const sparing = await train(models.blip, { ...config, memory: "low" })
    for (const name of losses) expect(firstOf(history(sparing.files), name)).toBe(firstOf(history(whole.files), name))
  })

  it("changes every loss of a step, and none where nothing is dropped", async () => {
    const [without, none, some] = await Promise.all(
      [{}, { dropout: 0 }, { dropout: 0.2 }].map(async (more) =>
        history((await train(models.blip, { ...all, ...more })).files)
      )
    )
    for (const name of losses) {
      expect(firstOf(none!, name)).toBe(firstOf(without!, name))
      expect(Math.abs(firstOf(some!, name) - firstOf(without!, name))).toBeGreaterThan(1e-4)
    }
  })

  it("has the same masks in micro-batches", async () => {
    const config = { objectives: ["itc"], batch_size: 8, steps: 2, dropout: 0.2 }
    const options = { itc: { twin: false } }
    const whole = history((await train(models.blip, config, options)).files)
    const parts = history((await train(models.blip, { ...config, micro_batch_size: 3 }, options)).files)
    for (const [step, entry] of whole.entries()) expect(parts[step]!["itc_loss"]).toBeCloseTo(entry["itc_loss"]!, 5)
  })

  it("is refused where there is no such transformer", async () => {
    await expect(train(models.clip, { ...all, objectives: ["itc"], dropout: 0.1 })).rejects.toThrow(
      /dropout is that of BLIP's text transformer/
    )
  })
})
