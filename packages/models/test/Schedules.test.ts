import { assert, describe, it } from "vitest"
import { alphaRamp, epochCosine, epochDecay, warmupCosine } from "../src/Schedules.ts"

describe("learning rates", () => {
  it("CLIP: rise by equal steps, then a half cosine to zero", () => {
    const rate = warmupCosine({ lr: 5e-4, warmup_steps: 10, total_steps: 110 })
    assert.closeTo(rate(0), 5e-5, 1e-12)
    assert.closeTo(rate(9), 5e-4, 1e-12)
    assert.closeTo(rate(10), 5e-4, 1e-12)
    assert.closeTo(rate(60), 2.5e-4, 1e-12)
    assert.closeTo(rate(110), 0, 1e-12)
    assert.closeTo(rate(1000), 0, 1e-12)
  })

  it("BLIP: warm up inside the first epoch, then fall once an epoch", () => {
    const rate = epochDecay({
      lr: 3e-4,
      min_lr: 1e-6,
      warmup_lr: 1e-6,
      warmup_steps: 3000,
      decay_rate: 0.9,
      steps_per_epoch: 5000
    })
    assert.closeTo(rate(0), 1e-6, 1e-12)
    assert.closeTo(rate(1500), (1e-6 + 3e-4) / 2, 1e-12)
    assert.closeTo(rate(4999), 3e-4, 1e-12)
    assert.closeTo(rate(5000), 2.7e-4, 1e-12)
    assert.closeTo(rate(14_999), 2.43e-4, 1e-12)
    assert.strictEqual(rate(5000 * 100), 1e-6)
  })

  it("BLIP fine-tuning: a cosine over epochs", () => {
    const rate = epochCosine({ lr: 1e-5, min_lr: 0, steps_per_epoch: 100, epochs: 5 })
    assert.closeTo(rate(99), 1e-5, 1e-15)
    assert.closeTo(rate(100), 0.5e-5 * (1 + Math.cos(Math.PI / 5)), 1e-15)
    assert.closeTo(rate(500), 0, 1e-15)
  })

  it("alpha grows over its ramp", () => {
    const alpha = alphaRamp({ alpha: 0.4, ramp_steps: 200 })
    assert.deepStrictEqual([alpha(0), alpha(100), alpha(200), alpha(900)], [0, 0.2, 0.4, 0.4])
  })
})
