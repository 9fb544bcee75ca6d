/**
 * One timed training in a process of its own: `node bench/train/ours.ts MODEL FOLDER THREADS STEPS [cached|memory-low|tensorflow|bf16]`. FOLDER is TrainFolder's.
 *
 * Several batches are gone through in turn, and a time is then the mean of a step over all of them. `cached`: they are the
 * micro-batches of one step. `memory-low`: the program with `memory: low`. `tensorflow`, `bf16`: by TensorFlow in that
 * precision, fp32 else; it has to be installed (docs/engines.md). Prints one JSON line {seconds, mb, outputs}: the losses of the first steps.
 */
import { makeOnnxExecutor, makeTensorflowExecutor } from "@bootlace/engine"
import type { TrainingProgram } from "@bootlace/engine"
import { Effect } from "effect"
import { readTraining } from "./TrainFolder.ts"
import { learning_rate, trainModels } from "./TrainModel.ts"
import type { TrainModelName } from "./TrainModel.ts"

const [name, folder, threads, steps, how] = process.argv.slice(2)
const made = trainModels[name as TrainModelName]()
const { weights, state, batches, batchOf } = readTraining(folder!, made)
const { optimizer, enqueue } = made
const program: TrainingProgram = { ...made.program, ...(how === "memory-low" && { memory: "low" }) }

const training = Effect.gen(function* () {
  const executor = yield* how === "bf16" || how === "tensorflow"
    ? makeTensorflowExecutor({ precision: how === "bf16" ? how : "fp32" })
    : makeOnnxExecutor({ threads: Number(threads) })
  const model = yield* executor.load(weights, { transfer: true })
  const trainer = yield* model.train(program, optimizer, { _tag: "Fresh", state })
  const seconds: Array<number> = []
  const outputs: Array<Readonly<Record<string, number>>> = []
  const sizes = batches.map(({ rows }) => rows.length)
  const cached = { sizes, inputs: (index: number) => Effect.sync(() => batchOf(batches[index]!)) }
  const one = Effect.fnUntraced(function* (index: number) {
    const inputs = how === "cached" ? {} : batchOf(batches[index]!)
    const begin = performance.now()
    const result = yield* how === "cached"
      ? trainer.cachedStep(cached, learning_rate)
      : trainer.step(inputs, learning_rate)
    for (const [queue, output] of Object.entries(enqueue)) yield* trainer.enqueue(queue, 0, result.outputs[output]!)
    const spent = (performance.now() - begin) / 1000
    if (outputs.length < 2) outputs.push({ ...result.losses, ...(how === "cached" && { grad_norm: result.grad_norm }) })
    return spent
  })
  const turn = how === "cached" ? 1 : batches.length
  // The first steps compile and warm up, one for each length after the two that are compared; a cached step's own micro-batches do.
  const lengths = batches.map(({ tokens }) => tokens)
  const others = lengths.flatMap((tokens, i) => (i > 1 && lengths.indexOf(tokens) === i ? [i] : []))
  for (const index of how === "cached" ? [] : [0, turn > 1 ? 1 : 0, ...others]) yield* one(index)
  for (let step = 0; step < Number(steps); step++) {
    let sum = 0
    for (let index = 0; index < turn; index++) sum += yield* one(index)
    seconds.push(sum / turn)
  }
  const mb = process.resourceUsage().maxRSS / 1024
  console.log(JSON.stringify({ seconds, mb, outputs }))
})

await Effect.runPromise(Effect.scoped(training))
