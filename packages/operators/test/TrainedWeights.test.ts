/** Train with `freeze` and `ema`: which weights move, and which are kept. */
import { isDeepStrictEqual } from "node:util"
import { describe, expect, it } from "vitest"
import { decodeTensors } from "../src/tensor/TensorFile.ts"
import { filesFingerprint } from "./inMemory.ts"
import { filesOf, newModel } from "./tinyPairs.ts"
import { train, weightsOf } from "./tinyTraining.ts"

const clip = await newModel("clip")
const blip = await newModel("blip")
const itc = { objectives: ["itc"], batch_size: 8, steps: 2, learning_rate: 1e-2 }

const isImage = (name: string): boolean => /^(vision_model|visual_projection|vision_proj)\b/.test(name)

describe("freeze", () => {
  it.each([
    ["clip", clip, { ...itc, freeze: ["image"] }],
    ["clip in micro-batches", clip, { ...itc, freeze: ["image"], micro_batch_size: 3 }],
    ["blip with its twin", blip, { ...itc, freeze: ["image"] }]
  ] as const)("keeps the image tower of %s to the byte, and trains the rest", async (_, model, config) => {
    const before = weightsOf(await filesOf(model))
    const { files, saved } = await train(model, config, { save: true })
    const after = weightsOf(files)
    const isSame = (name: string): boolean => isDeepStrictEqual(after[name]!.data, before[name]!.data)
    const images = Object.keys(before).filter(isImage)
    expect(images.length).toBeGreaterThan(10)
    expect(images.filter((name) => !isSame(name))).toEqual([])
    const queries = Object.keys(after).filter((name) => /^text_.*(q_proj|\.attention\.self\.query)\.weight$/.test(name))
    expect(queries.filter((name) => name.startsWith("text_decoder") === isSame(name))).toEqual(queries)
    const kept = Object.keys(decodeTensors(saved[1]!["training.safetensors"]!, "checkpoint"))
    expect(kept.filter((name) => isImage(name.slice(name.indexOf("/") + 1)))).toEqual([])
  })

  it("takes the other weights the step that they take without it", async () => {
    const [all, some] = [
      await train(clip, { ...itc, steps: 1 }),
      await train(clip, { ...itc, steps: 1, freeze: ["image"] })
    ]
    const [expected, actual] = [weightsOf(all.files), weightsOf(some.files)]
    const moved = Object.keys(expected).filter((name) => !isImage(name))
    expect(moved.filter((name) => !isDeepStrictEqual(actual[name]!.data, expected[name]!.data))).toEqual([])
  })

  it("goes by names too", async () => {
    const before = weightsOf(await filesOf(clip))
    const after = weightsOf((await train(clip, { ...itc, freeze: ["logit_scale", "vision_model"] })).files)
    const same = Object.keys(before).filter((name) => isDeepStrictEqual(after[name]!.data, before[name]!.data))
    expect(same).toEqual(Object.keys(before).filter((name) => /^(logit_scale$|vision_model\.)/.test(name)))
  })

  it("refuses what names no weight, or all of them", async () => {
    await expect(train(clip, { ...itc, freeze: ["vision"] })).rejects.toThrow(
      /R208.*freeze: no weight of this clip model is named vision; say image, text, or .*vision_model/
    )
    await expect(train(clip, { ...itc, freeze: ["image", "text", "logit_scale"] })).rejects.toThrow(
      /leaves no weight to train/
    )
  })
})

describe("ema", () => {
  const config = { ...itc, steps: 4, ema: 0.8 }

  it("gives the average of the weights after every step", async () => {
    const level = { ...config, schedule: "constant", warmup_steps: 1 }
    const { files } = await train(clip, level)
    const { saved } = await train(clip, { ...level, steps: 5 }, { save: true })
    const name = "text_projection.weight"
    const at = (step: number) => decodeTensors(saved[step]!["training.safetensors"]!, "checkpoint")
    const average = Array.from(at(0)[`weights/${name}`]!.data)
    for (let step = 1; step < 5; step++) {
      const weights = at(step)[`weights/${name}`]!.data
      average.forEach((value, i) => (average[i] = 0.8 * value + 0.2 * weights[i]!))
    }
    const worst = (data: ArrayLike<number>) => Math.max(...average.map((value, i) => Math.abs(value - data[i]!)))
    expect(worst(at(4)[`ema/${name}`]!.data)).toBeLessThan(1e-6)
    expect(worst(weightsOf(files)[name]!.data)).toBeLessThan(1e-6)
    expect(worst(at(4)[`weights/${name}`]!.data)).toBeGreaterThan(1e-3)
  })

  it("goes on from a checkpoint with the same bytes", async () => {
    const whole = await train(clip, config)
    expect(filesFingerprint((await train(clip, config, { stopAt: 2 })).files)).toEqual(filesFingerprint(whole.files))
  })
})
