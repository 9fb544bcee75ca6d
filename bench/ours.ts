/** One timed training in a process of its own: `node bench/ours.ts CASE THREADS STEPS`. Prints one JSON line {losses, seconds, mb}. */
import { makeOnnxExecutor } from "@bootlace/engine"
import { Effect } from "effect"
import { learning_rate, trainCases } from "./TrainCase.ts"

const [name, threads, steps] = process.argv.slice(2)
const { weights, program, optimizer, inputs, start, enqueue, cached } = trainCases[name!]!()

const training = Effect.gen(function* () {
  const executor = yield* makeOnnxExecutor({ threads: Number(threads) })
  const model = yield* executor.load(weights)
  const trainer = yield* model.train(program, optimizer, start)
  const seconds: Array<number> = []
  let losses: Readonly<Record<string, number>> | undefined
  // The first two steps compile and warm up; a cached step's own micro-batches do.
  const warm = cached === undefined ? 2 : 0
  for (let step = 0; step < Number(steps) + warm; step++) {
    const begin = performance.now()
    const result = yield* cached === undefined
      ? trainer.step(inputs, learning_rate)
      : trainer.cachedStep(cached, learning_rate)
    for (const [state, output] of Object.entries(enqueue)) yield* trainer.enqueue(state, 0, result.outputs[output]!)
    seconds.push((performance.now() - begin) / 1000)
    losses ??= result.losses
  }
  const mb = process.resourceUsage().maxRSS / 1024
  console.log(JSON.stringify({ losses, seconds: seconds.slice(warm), mb }))
})

await Effect.runPromise(Effect.scoped(training))
