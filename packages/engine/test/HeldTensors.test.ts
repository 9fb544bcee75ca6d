/** Tensors held between runs: the worker's are what the host's are. */
import * as tf from "@tensorflow/tfjs-core"
import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { makeEagerExecutor } from "../src/index.ts"
import type { Executor, HostTensor, HostTensors, Program } from "../src/index.ts"
import { captured, capturedName } from "./Captured.ts"

const floats = (shape: ReadonlyArray<number>, ...data: ReadonlyArray<number>): HostTensor => ({
  shape,
  dtype: "float32",
  data: Float32Array.from(data)
})

const doubled: Program = { name: "doubled", weights: [], run: (_, { x }) => ({ twice: tf.mul(x!, 2), same: x! }) }
/** Two rows of one number each, and the sum of all that is held. */
const grown: Program = {
  name: "grown",
  weights: [],
  run: (_, { twice, cache, step }) => ({
    next: tf.add(tf.reshape(twice!, [-1, 1]), step!),
    sum: tf.add(tf.sum(cache!), tf.sum(twice!))
  })
}

const story = (executor: Executor) =>
  Effect.gen(function* () {
    const loaded = yield* executor.load({})
    const [held, other] = [yield* loaded.hold, yield* loaded.hold]
    const said: Array<HostTensors> = []
    said.push(yield* held.run(doubled, { x: floats([2], 1, 10) }, { keep: ["twice"] }))
    yield* held.zeros({ cache: { shape: [2, 3], dtype: "float32" } })
    for (const position of [0, 2]) {
      const write = { into: { next: "cache" }, places: Int32Array.of(position, 3 + position) }
      said.push(yield* held.run(grown, { step: floats([], position) }, { write }))
    }
    said.push(yield* held.run(grown, { step: floats([], 0) }))
    yield* held.take(Int32Array.of(1))
    said.push(yield* held.run(grown, { step: floats([], 5) }))
    // One run may keep and write, and need nothing of what is held.
    const both = { keep: ["twice"], write: { into: { same: "cache" }, places: Int32Array.of(1) } }
    said.push(yield* held.run(doubled, { x: floats([1], 4) }, both))
    said.push(yield* held.run(grown, { step: floats([], 0) }))
    // Another holder sees nothing of it.
    said.push(yield* other.run(doubled, { x: floats([1], 3) }))
    return said.map((outputs) =>
      Object.fromEntries(Object.entries(outputs).map(([name, { shape, data }]) => [name, { shape, data: [...data] }]))
    )
  })

describe("tensors held between runs", () => {
  it.each([
    ["eager", makeEagerExecutor()],
    [capturedName, captured(1)]
  ] as const)("are kept, written over in blocks, and cut to rows: %s", async (_name, make) => {
    const said = await Effect.runPromise(Effect.scoped(Effect.flatMap(make, story)))
    expect(said).toEqual([
      { same: { shape: [2], data: [1, 10] } },
      { sum: { shape: [], data: [22] } },
      { sum: { shape: [], data: [22 + 2 + 20] } },
      { next: { shape: [2, 1], data: [2, 20] }, sum: { shape: [], data: [22 + 2 + 20 + 4 + 22] } },
      { next: { shape: [1, 1], data: [25] }, sum: { shape: [], data: [20 + 20 + 22] } },
      {},
      { next: { shape: [1, 1], data: [8] }, sum: { shape: [], data: [20 + 4 + 22 + 8] } },
      { twice: { shape: [1], data: [6] }, same: { shape: [1], data: [3] } }
    ])
  })
})
