import { Effect, Exit } from "effect"
import { describe, expect, it } from "vitest"
import type { Executor, HostTensors, Trainer, TrainingSnapshot, TrainingStart } from "../src/index.ts"
import { makeEagerExecutor } from "../src/index.ts"
import { captured, capturedName } from "./Captured.ts"
import { distance, float32, int32, numbersFrom, tensorDistance } from "./CompareExecutors.ts"
import type { Sizes } from "./TinyProgram.ts"
import { tinyInputs, tinyOptimizer, tinyProgram, tinyQueue, tinyWeights } from "./TinyProgram.ts"

const sizes: Sizes = { B: 3, T: 5, V: 11, D: 8, Q: 4 }

const run = <A>(effect: Effect.Effect<A, unknown>): Promise<A> => Effect.runPromise(effect)

const training = <A>(
  make: ReturnType<typeof captured>,
  at: Sizes,
  use: (trainer: Trainer, executor: Executor) => Effect.Effect<A, unknown>,
  start?: TrainingStart
): Promise<A> =>
  run(
    Effect.scoped(
      Effect.gen(function* () {
        const executor = yield* make
        const model = yield* executor.load(tinyWeights(at, 1))
        const fresh: TrainingStart = { _tag: "Fresh", state: tinyQueue(at, 2) }
        return yield* use(yield* model.train(tinyProgram(at), tinyOptimizer, start ?? fresh), executor)
      })
    )
  )

/** Three steps with an enqueue after each, on new inputs every time. */
const threeSteps = (at: Sizes) => (trainer: Trainer) =>
  Effect.gen(function* () {
    const steps = []
    const { gradients } = yield* trainer.gradients(tinyInputs(at, 10))
    for (let step = 0; step < 3; step++) {
      const result = yield* trainer.step(tinyInputs(at, 10 + step), 1e-2)
      yield* trainer.enqueue("queue", step % (at.Q - at.B + 1), result.outputs.enqueue!)
      steps.push(result)
    }
    return { gradients, steps, snapshot: yield* trainer.snapshot }
  })

const bytesOf = ({ step, ...parts }: TrainingSnapshot): string =>
  [
    step,
    ...Object.entries(parts).flatMap(([part, tensors]) =>
      Object.entries(tensors as HostTensors).map(
        ([name, { data }]) =>
          `${part} ${name} ${Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")}`
      )
    )
  ].join("\n")

describe("a captured training step", () => {
  const shapes: ReadonlyArray<Sizes> = [sizes, { B: 2, T: 70, V: 130, D: 12, Q: 3 }, { B: 6, T: 1, V: 20, D: 4, Q: 7 }]
  it.each(shapes.flatMap((at) => [1, 2].map((threads) => [at, threads] as const)))(
    "agrees with eager at %o, %i threads",
    async (at, threads) => {
      const expected = await training(makeEagerExecutor(), at, threeSteps(at))
      const actual = await training(captured(threads), at, threeSteps(at))
      expect(distance(actual.gradients, expected.gradients)).toBeLessThan(1e-5)
      actual.steps.forEach((step, index) => {
        const { losses, total, grad_norm, outputs } = expected.steps[index]!
        for (const [name, loss] of Object.entries(losses)) expect(step.losses[name]).toBeCloseTo(loss, 4)
        expect(step.total).toBeCloseTo(total, 4)
        expect(step.grad_norm).toBeCloseTo(grad_norm, 3)
        expect(distance(step.outputs, outputs)).toBeLessThan(1e-4)
      })
      expect(actual.snapshot.step).toBe(3)
      for (const part of ["weights", "exp_avg", "exp_avg_sq", "twin", "state", "ema"] as const) {
        expect(distance(actual.snapshot[part], expected.snapshot[part])).toBeLessThan(2e-5)
      }
    }
  )

  it.each([capturedName, "eager"] as const)("keeps an average of the weights on %s", async (name) => {
    const make = name === capturedName ? captured(1) : makeEagerExecutor()
    const [start, ...moved] = await training(make, sizes, (trainer) =>
      Effect.gen(function* () {
        const snapshots = [yield* trainer.snapshot]
        for (let step = 0; step < 3; step++) {
          yield* trainer.step(tinyInputs(sizes, 10 + step), 1e-2)
          snapshots.push(yield* trainer.snapshot)
        }
        return snapshots as [TrainingSnapshot, ...Array<TrainingSnapshot>]
      })
    )
    expect(start.ema).toEqual(start.weights)
    const average = Array.from(start.weights.table!.data)
    for (const { weights, ema } of moved) {
      average.forEach((value, i) => (average[i] = 0.9 * value + 0.1 * weights.table!.data[i]!))
      expect(Math.max(...average.map((value, i) => Math.abs(value - ema.table!.data[i]!)))).toBeLessThan(1e-6)
      expect(ema.idle).toEqual(start.weights.idle)
    }
  })

  it("clamps, decays what decays, and leaves weights without a gradient alone", async () => {
    const { snapshot } = await training(captured(1), sizes, threeSteps(sizes))
    const before = tinyWeights(sizes, 1)
    expect(snapshot.weights.scale!.data[0]).toBeLessThanOrEqual(1.5)
    expect(snapshot.weights.idle!.data).toEqual(before.idle!.data)
    expect(tensorDistance(snapshot.weights.table!, before.table!)).toBeGreaterThan(1e-3)
  })

  it("gives the same bytes resumed as undisturbed", async () => {
    const all = await training(captured(2), sizes, threeSteps(sizes))
    const half = await training(captured(2), sizes, (trainer) =>
      Effect.gen(function* () {
        const { outputs } = yield* trainer.step(tinyInputs(sizes, 10), 1e-2)
        yield* trainer.enqueue("queue", 0, outputs.enqueue!)
        return yield* trainer.snapshot
      })
    )
    const rest = await training(
      captured(2),
      sizes,
      (trainer) =>
        Effect.gen(function* () {
          for (const step of [1, 2]) {
            const { outputs } = yield* trainer.step(tinyInputs(sizes, 10 + step), 1e-2)
            yield* trainer.enqueue("queue", step % 2, outputs.enqueue!)
          }
          return yield* trainer.snapshot
        }),
      { _tag: "Resumed", snapshot: half }
    )
    expect(bytesOf(rest)).toBe(bytesOf(all.snapshot))
  })

  it("shares the weights among trainings that take turns", async () => {
    const inTurns = (make: ReturnType<typeof captured>) =>
      run(
        Effect.scoped(
          Effect.gen(function* () {
            const model = yield* (yield* make).load(tinyWeights(sizes, 1))
            const fresh: TrainingStart = { _tag: "Fresh", state: tinyQueue(sizes, 2) }
            const first = yield* model.train(tinyProgram(sizes), tinyOptimizer, fresh)
            yield* first.step(tinyInputs(sizes, 10), 1e-2)
            const { weights, ...others } = yield* first.snapshot
            const spared = { ...tinyOptimizer, decays: () => false }
            const second = yield* model.train(tinyProgram(sizes), spared, fresh)
            yield* second.step(tinyInputs(sizes, 11), 1e-2)
            yield* first.step(tinyInputs(sizes, 12), 1e-2)
            const third = yield* model.train(tinyProgram(sizes), spared, {
              _tag: "Resumed",
              snapshot: { weights, ...others }
            })
            yield* first.step(tinyInputs(sizes, 13), 1e-2)
            yield* third.step(tinyInputs(sizes, 14), 1e-2)
            yield* second.step(tinyInputs(sizes, 15), 1e-2)
            return [yield* model.weights, (yield* first.snapshot).exp_avg, (yield* third.snapshot).twin] as const
          })
        )
      )
    const [actual, expected] = [await inTurns(captured(1)), await inTurns(makeEagerExecutor())]
    actual.forEach((tensors, index) => expect(distance(tensors, expected[index]!)).toBeLessThan(2e-5))
  })

  it.each([
    [capturedName, captured(1)],
    ["eager", makeEagerExecutor()]
  ] as const)("refuses a NaN on %s before anything moved", async (_, make) => {
    const [before, error, after] = await training(make, sizes, (trainer) =>
      Effect.gen(function* () {
        yield* trainer.step(tinyInputs(sizes, 10), 1e-2)
        const before = yield* trainer.snapshot
        const { noise, ids } = tinyInputs(sizes, 11)
        const broken = { ids: ids!, noise: { ...noise!, data: (noise!.data as Float32Array).with(3, NaN) } }
        const error = yield* Effect.flip(trainer.step(broken, 1e-2))
        return [before, error, yield* trainer.snapshot] as const
      })
    )
    expect(error).toMatchObject({ _tag: "EngineError", reason: "NonFinite", program: "tiny (test)" })
    expect(error.message).toContain("step 2: the loss noise_loss is NaN; nothing was updated")
    expect(bytesOf(after)).toBe(bytesOf(before))
  })

  it("refuses what doesn't fit, by name", async () => {
    const errors = await training(captured(1), sizes, (trainer) =>
      Effect.gen(function* () {
        const rows = float32([2, sizes.D], numbersFrom(1))
        return [
          yield* Effect.flip(trainer.enqueue("quue", 0, rows)),
          yield* Effect.flip(trainer.enqueue("queue", 3, rows)),
          yield* Effect.flip(trainer.enqueue("queue", 0, int32([2, sizes.D], numbersFrom(1), 0, 5))),
          yield* Effect.flip(trainer.step({ ids: tinyInputs(sizes, 1).ids! }, 1e-2))
        ].map((error) => error.message)
      })
    )
    expect(errors[0]).toContain("there is no state quue; the program has: queue")
    expect(errors[1]).toContain("rows 3 to 4 of the state queue, which is [4,8]")
    expect(errors[2]).toContain("must be float32[2,8], got int32[2,8]")
    expect(errors[3]).toContain("tiny (test)")
  })

  it("needs a momentum for a twin", async () => {
    const exit = await Effect.runPromiseExit(
      Effect.scoped(
        Effect.gen(function* () {
          const executor = yield* captured(1)
          const model = yield* executor.load(tinyWeights(sizes, 1))
          const { momentum: _, ...without } = tinyOptimizer
          return yield* model.train(tinyProgram(sizes), without, { _tag: "Fresh", state: tinyQueue(sizes, 2) })
        })
      )
    )
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("the optimizer gives no momentum")
  })
})
