/** Train with `lora`: adapters are all that is trained, and what they leave is a plain model. */
import { isDeepStrictEqual } from "node:util"
import type { HostTensor } from "@bootlace/engine"
import type { Files } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import { decodeTensors } from "../src/tensor/TensorFile.ts"
import { filesFingerprint } from "./inMemory.ts"
import { filesOf, newModel } from "./tinyPairs.ts"
import { history, train, weightsOf } from "./tinyTraining.ts"

const clip = await newModel("clip")
const blip = await newModel("blip")
/** Without decay of the first moment it is the gradient itself. */
const base = { objectives: ["itc"], batch_size: 8, steps: 3, learning_rate: 1e-2, optimizer: { betas: [0, 0.9] } }
const lora = { rank: 2, alpha: 6, targets: ["v_proj", "visual_projection"] }
const scale = 3

const checkpoint = (files: Files) => decodeTensors(files["training.safetensors"]!, "checkpoint")

/** a [n, k] @ b [k, m], or b [m, k] transposed. */
const product = (a: HostTensor, b: HostTensor, transposed = false): ReadonlyArray<number> => {
  const [n = 0, k = 0] = a.shape
  const m = transposed ? b.shape[0]! : b.shape[1]!
  const at = (row: number, column: number) => b.data[transposed ? column * k + row : row * m + column]!
  return Array.from({ length: n * m }, (_, i) => {
    const [row, column] = [Math.floor(i / m), i % m]
    return Array.from({ length: k }, (_, j) => a.data[row * k + j]! * at(j, column)).reduce((sum, x) => sum + x, 0)
  })
}
const worst = (a: ReadonlyArray<number>, b: ArrayLike<number>) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)))
const largest = (a: ReadonlyArray<number>) => Math.max(...a.map(Math.abs))

describe("lora", () => {
  it("begins as the base model, with the gradients that the chain rule gives", async () => {
    const [full, low] = [await train(clip, base, { save: true }), await train(clip, { ...base, lora }, { save: true })]
    expect(history(low.files)[0]!["itc_loss"]).toBe(history(full.files)[0]!["itc_loss"])
    const [whole, adapted] = [checkpoint(full.saved[1]!), checkpoint(low.saved[1]!)]
    const start = checkpoint(low.saved[0]!)
    for (const name of ["visual_projection.weight", "text_model.encoder.layers.0.self_attn.v_proj.weight"]) {
      const A = start[`weights/${name}.lora_A`]!
      expect(largest(Array.from(start[`weights/${name}.lora_B`]!.data))).toBe(0)
      expect(largest(Array.from(adapted[`exp_avg/${name}.lora_A`]!.data))).toBe(0)
      const expected = product(whole[`exp_avg/${name}`]!, A, true).map((x) => scale * x)
      expect(worst(expected, adapted[`exp_avg/${name}.lora_B`]!.data)).toBeLessThan(1e-5 * largest(expected))
    }
  })

  it("merges the adapters into the model and leaves the other weights alone", async () => {
    const { files, saved } = await train(clip, { ...base, steps: 3, schedule: "constant", lora }, { save: true })
    const [before, after] = [weightsOf(await filesOf(clip)), weightsOf(files)]
    const changed = Object.keys(after).filter((name) => !isDeepStrictEqual(after[name]!.data, before[name]!.data))
    expect(Object.keys(after)).toEqual(Object.keys(before))
    expect(changed).toEqual(Object.keys(before).filter((name) => /(v_proj|visual_projection)\.weight$/.test(name)))
    const { files: two } = await train(clip, { ...base, steps: 2, schedule: "constant", warmup_steps: 1, lora })
    const kept = (await train(clip, { ...base, schedule: "constant", warmup_steps: 1, lora }, { save: true })).saved[2]!
    const { "weights/visual_projection.weight.lora_A": A, "weights/visual_projection.weight.lora_B": B } =
      checkpoint(kept)
    const W = before["visual_projection.weight"]!
    const expected = product(B!, A!).map((x, i) => W.data[i]! + scale * x)
    expect(worst(expected, weightsOf(two)["visual_projection.weight"]!.data)).toBeLessThan(1e-7)
    expect(worst(expected, W.data)).toBeGreaterThan(1e-3)
    expect(Object.keys(checkpoint(saved[1]!)).every((name) => /lora_[AB]$/.test(name))).toBe(true)
  })

  it.each([
    ["blip with its twin and an average", blip, { ...base, objectives: ["itc", "itm"], lora: {}, ema: 0.5 }],
    ["clip in micro-batches", clip, { ...base, lora, micro_batch_size: 3 }]
  ] as const)("goes on from a checkpoint with the same bytes: %s", async (_, model, config) => {
    const whole = await train(model, config)
    expect(filesFingerprint((await train(model, config, { stopAt: 2 })).files)).toEqual(filesFingerprint(whole.files))
    expect(history(whole.files)[2]!["loss"]).not.toBe(history(whole.files)[0]!["loss"])
  })

  it("refuses what is no linear layer, and freeze beside it", async () => {
    await expect(train(clip, { ...base, lora: { targets: ["token_embedding"] } })).rejects.toThrow(
      /R208.*lora: no linear layer of this clip model is named token_embedding; there are .*q_proj/
    )
    await expect(train(clip, { ...base, lora, freeze: ["image"] })).rejects.toThrow(/with lora every weight is frozen/)
  })
})
