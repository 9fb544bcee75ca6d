/** Train with `micro_batch_size`: gradient caching. */
import type { Artifact } from "@bootlace/graph"
import { describe, expect, it } from "vitest"
import { decodeTensors } from "../src/tensor/TensorFile.ts"
import { Train } from "../src/Train.ts"
import { filesFingerprint } from "./inMemory.ts"
import { newModel } from "./tinyPairs.ts"
import { history, train } from "./tinyTraining.ts"
import { trainingGraph } from "./trainingGraph.ts"

const models = { clip: await newModel("clip"), blip: await newModel("blip"), siglip: await newModel("siglip") }
const { clip, blip } = models

/** Without decay of the first moment it is the gradient itself, to the last bit. */
const base = { objectives: ["itc"], batch_size: 12, steps: 2, optimizer: { betas: [0, 0.9] } }
const augment = { random_resized_crop: { scale: [0.5, 1] }, horizontal_flip: true }

/** The gradients of the first step, by weight, from the checkpoint after it. */
const firstGradients = async (init: Artifact, config: object) => {
  const { saved } = await train(init, config, { save: true })
  const tensors = Object.entries(decodeTensors(saved[1]!["training.safetensors"]!, "checkpoint"))
  return tensors.flatMap(([name, { data }]) =>
    name.startsWith("exp_avg/") ? [[name.slice("exp_avg/".length), data] as const] : []
  )
}

const largestOf = (data: ArrayLike<number>): number =>
  Array.from(data).reduce((most, value) => Math.max(most, Math.abs(value)), 0)

/** Adding to every key changes no attention: these gradients are 0 but for rounding. */
const isKeyBias = (name: string): boolean => /(k_proj|key)\.bias$/.test(name)

describe("micro_batch_size", () => {
  it.each([
    ["clip", 4, {}],
    ["clip", 5, { augment }],
    ["clip", 1, {}],
    ["blip", 5, { augment }],
    ["siglip", 5, {}]
  ] as const)(
    "of %s, %i rows, gives the gradients of the whole batch",
    async (architecture, micro_batch_size, more) => {
      const model = models[architecture]
      const config = { ...base, ...more, objectives: { itc: { twin: false } } }
      const whole = await firstGradients(model, config)
      const parts = new Map(await firstGradients(model, { ...config, micro_batch_size }))
      expect(parts.size).toBe(whole.length)
      const worse = whole.filter(([name, expected]) => {
        const error = largestOf(expected.map((value, i) => value - parts.get(name)![i]!))
        return error > (isKeyBias(name) ? 1e-7 : 1e-5 * largestOf(expected))
      })
      expect(worse).toEqual([])
      expect(largestOf(parts.get("logit_scale") ?? parts.get("temp")!)).toBeGreaterThan(1e-3)
    }
  )

  it.each(["clip", "siglip"] as const)("tells of %s what the whole batch tells", async (architecture) => {
    const [whole, parts] = [
      await train(models[architecture], base),
      await train(models[architecture], { ...base, micro_batch_size: 5 })
    ]
    const [first, other] = [history(whole.files)[0]!, history(parts.files)[0]!]
    expect(Object.keys(other).sort()).toEqual(Object.keys(first).sort())
    for (const [name, value] of Object.entries(first)) expect(other[name]).toBeCloseTo(value, 4)
  })

  it("goes on from a checkpoint with the same bytes", async () => {
    const config = { objectives: ["itc"], batch_size: 12, micro_batch_size: 5, steps: 4, augment }
    const whole = await train(clip, config)
    const resumed = await train(clip, config, { stopAt: 2 })
    expect(filesFingerprint(resumed.files)).toEqual(filesFingerprint(whole.files))
  })

  it("is the plain step where the batch is one micro-batch", async () => {
    const config = { objectives: ["itc"], batch_size: 8, steps: 2 }
    const [plain, one] = [await train(clip, config), await train(clip, { ...config, micro_batch_size: 8 })]
    expect(filesFingerprint(one.files)).toEqual(filesFingerprint(plain.files))
  })

  it.each([
    [["itc", "itm"], "micro_batch_size: not with node itc: its twin and queues see whole batches; say `twin: false`"],
    [{ itc: { twin: false }, lm: {} }, "micro_batch_size: not with node lm: LMDecoder needs the whole batch at once"]
  ])("refuses %o by name", async (objectives, message) => {
    const config = { objectives, batch_size: 8, micro_batch_size: 4, steps: 1 }
    await expect(train(blip, config)).rejects.toThrow(message)
  })

  it("is refused before anything runs", async () => {
    const { graph } = await trainingGraph({ objectives: ["itc"] })
    const config = { batch_size: 8, micro_batch_size: 4, steps: 1 } as never
    const check = (architecture: string) => Train.check!(config, {}, { graph, architecture })
    expect(check("clip")).toEqual([])
    expect(check("blip")).toMatchObject([
      { path: ["micro_batch_size"], message: expect.stringContaining("twin: false") }
    ])
  })
})
