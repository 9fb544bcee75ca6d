/** Test support, run as a process of its own: trains N steps and prints the sha256 of everything a training owns. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { makeOnnxExecutor } from "../src/index.ts"
import { tinyInputs, tinyOptimizer, tinyProgram, tinyQueue, tinyWeights } from "./TinyProgram.ts"

const [threads, steps, exitAt] = process.argv.slice(2).map(Number)
const sizes = { B: 24, T: 9, V: 200, D: 64, Q: 48 }

const training = Effect.gen(function* () {
  const executor = yield* makeOnnxExecutor({ threads: threads! })
  const model = yield* executor.load(tinyWeights(sizes, 1))
  const trainer = yield* model.train(tinyProgram(sizes), tinyOptimizer, { _tag: "Fresh", state: tinyQueue(sizes, 2) })
  for (let step = 0; step < steps!; step++) {
    if (step === exitAt) setTimeout(() => process.exit(7), 1)
    const { outputs } = yield* trainer.step(tinyInputs(sizes, 100 + step), 1e-3)
    yield* trainer.enqueue("queue", (step * sizes.B) % sizes.Q, outputs.enqueue!)
  }
  const { step, ...parts } = yield* trainer.snapshot
  const hash = createHash("sha256").update(String(step))
  for (const tensors of Object.values(parts)) for (const { data } of Object.values(tensors)) hash.update(data)
  console.log(hash.digest("hex"))
})

await Effect.runPromise(Effect.scoped(training))
