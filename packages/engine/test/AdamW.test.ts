/** The optimiser alone against torch.optim.AdamW: the loss is sum(weight * gradient), so that each step's gradient is what the fixture says. */
import { readFileSync } from "node:fs"
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import type { HostTensors, Optimizer, TrainingProgram } from "../src/index.ts"
import { makeEagerExecutor } from "../src/index.ts"
import { captured, capturedName } from "./Captured.ts"

type Numbers = Readonly<Record<string, ReadonlyArray<number>>>
interface Case {
  readonly max_grad_norm: number | null
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly weight_decay: number
  readonly lr: number
  readonly start: Numbers
  readonly gradients: ReadonlyArray<Numbers>
  readonly norms: ReadonlyArray<number>
  readonly weights: Numbers
  readonly exp_avg: Numbers
  readonly exp_avg_sq: Numbers
}
const fixture = JSON.parse(readFileSync(new URL("./fixtures/adamw.json", import.meta.url), "utf8")) as {
  readonly shapes: Readonly<Record<string, ReadonlyArray<number>>>
  readonly cases: ReadonlyArray<Case>
}
const names = Object.keys(fixture.shapes)

const tensors = (numbers: Numbers): HostTensors =>
  Object.fromEntries(
    names.map((name) => [
      name,
      { shape: fixture.shapes[name]!, dtype: "float32", data: Float32Array.from(numbers[name]!) }
    ])
  )

const program: TrainingProgram = {
  name: "given gradients",
  weights: names,
  twin: [],
  state: {},
  run: ({ weights, inputs }) => ({
    losses: { loss: tf.addN(names.map((name) => tf.sum(tf.mul(weights[name]!, inputs[name]!)))) },
    outputs: {}
  })
}

const train = (
  make: ReturnType<typeof makeEagerExecutor>,
  { start, gradients, lr, max_grad_norm, ...settings }: Case
) => {
  const limit = max_grad_norm === null ? {} : { max_grad_norm }
  const optimizer: Optimizer = { ...settings, ...limit, decays: (_, shape) => shape.length >= 2 }
  return Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const model = yield* (yield* make).load(tensors(start))
        const trainer = yield* model.train(program, optimizer, { _tag: "Fresh", state: {} })
        const norms: Array<number> = []
        for (const given of gradients) norms.push((yield* trainer.step(tensors(given), lr)).grad_norm)
        return { norms, ...(yield* trainer.snapshot) }
      })
    )
  )
}

const relative = (actual: HostTensors, expected: Numbers): number =>
  Math.max(
    ...names.flatMap((name) =>
      expected[name]!.map(
        (value, index) => Math.abs(value - actual[name]!.data[index]!) / Math.max(Math.abs(value), 1e-3)
      )
    )
  )

describe.each(fixture.cases.map((one) => [one.max_grad_norm === null ? "unclipped" : "clipped", one] as const))(
  "AdamW against PyTorch, %s",
  (_, one) => {
    it.each([
      [capturedName, captured(1)],
      ["eager", makeEagerExecutor()]
    ] as const)("on %s", async (name, make) => {
      const { norms, weights, exp_avg, exp_avg_sq } = await train(make, one)
      norms.forEach((norm, step) => expect(norm / one.norms[step]!).toBeCloseTo(1, 5))
      expect(relative(weights, one.weights)).toBeLessThan(1e-6)
      expect(relative(exp_avg, one.exp_avg)).toBeLessThan(1e-6)
      // TensorFlow forms 1 - beta2 in float32.
      expect(relative(exp_avg_sq, one.exp_avg_sq)).toBeLessThan(name === "tensorflow" ? 1e-5 : 1e-6)
    })
  }
)
