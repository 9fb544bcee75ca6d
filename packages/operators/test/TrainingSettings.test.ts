/** The learning rate of a training, by its config. */
import { modelFromConfig, preset } from "@bootlace/models"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { learningRateOf } from "../src/tensor/TrainingSettings.ts"
import { Train } from "../src/Train.ts"
import { decodeConfig } from "./inMemory.ts"

const blip = modelFromConfig(preset("blip", "nano", { vocab_size: 20 }))

/** At these steps of a training of 100, eight rows each, on 160 rows: 20 steps an epoch. */
const ratesAt = async (steps: ReadonlyArray<number>, more: object): Promise<ReadonlyArray<number>> => {
  const config = await Effect.runPromise(
    decodeConfig(Train, { steps: 100, batch_size: 8, learning_rate: 1e-3, ...more })
  )
  return steps.map(learningRateOf(config as never, blip, 167))
}
const expectNear = (found: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  expect(found).toHaveLength(expected.length)
  for (const [i, rate] of expected.entries()) expect(found[i]).toBeCloseTo(rate, 9)
}

describe("the learning rate", () => {
  it("falls along a cosine after a tenth of the steps, or stays", async () => {
    expectNear(await ratesAt([4, 9, 55, 100], {}), [5e-4, 1e-3, 5e-4, 0])
    expectNear(await ratesAt([55, 100], { min_learning_rate: 1e-4 }), [5.5e-4, 1e-4])
    expectNear(await ratesAt([4, 9, 55, 100], { schedule: "constant" }), [5e-4, 1e-3, 1e-3, 1e-3])
  })

  it("falls once an epoch by the factor of BLIP's pre-training, after a warm-up from 1e-6 inside the first", async () => {
    const schedule = "epoch_decay"
    expectNear(
      await ratesAt([0, 5, 10, 19, 20, 39, 40], { schedule }),
      [1e-6, 5.005e-4, 1e-3, 1e-3, 9e-4, 9e-4, 8.1e-4]
    )
    expectNear(await ratesAt([20, 99], { schedule, lr_decay_rate: 0.1, min_learning_rate: 2e-5 }), [1e-4, 2e-5])
    expectNear(await ratesAt([99], { schedule, lr_decay_rate: 0.01 }), [1e-6])
  })

  it("falls along a cosine by epochs, as in BLIP's fine-tuning", async () => {
    const half = (epoch: number) => 0.5e-3 * (1 + Math.cos((Math.PI * epoch) / 5))
    expectNear(await ratesAt([0, 19, 20, 99], { schedule: "epoch_cosine" }), [1e-3, 1e-3, half(1), half(4)])
  })
})
