/** The rate of fp32 matrix products here: `node bench/Matmul.ts THREADS`. Prints one JSON line {seconds, mb, outputs: {gflops}}. */
import { makeOnnxExecutor } from "@bootlace/engine"
import type { HostTensor, Program } from "@bootlace/engine"
import * as tf from "@tensorflow/tfjs-core"
import type { Tensor } from "@tensorflow/tfjs-core"
import { Effect } from "effect"

const side = 1024
const products = 32

const square = (): HostTensor => ({
  shape: [side, side],
  dtype: "float32",
  data: new Float32Array(side * side).map((_, i) => ((i % 7) - 3) / side)
})

/** A product of many products, of which a number comes back: to hand a matrix to the engine and back takes as long as two of them. */
const program: Program = {
  name: "matmul",
  weights: ["b"],
  run: ({ b }, { a }) => {
    let product: Tensor = a!
    for (let i = 0; i < products; i++) product = tf.matMul(product, b!)
    return { sum: tf.sum(product) }
  }
}

const rate = Effect.gen(function* () {
  const executor = yield* makeOnnxExecutor({ threads: Number(process.argv[2]) })
  const model = yield* executor.load({ b: square() })
  const seconds: Array<number> = []
  for (let run = 0; run < 12; run++) {
    const begin = performance.now()
    yield* model.run(program, { a: square() })
    seconds.push((performance.now() - begin) / 1000)
  }
  const gflops = (2 * products * side ** 3) / Math.min(...seconds) / 1e9
  console.log(JSON.stringify({ seconds, mb: process.resourceUsage().maxRSS / 1024, outputs: { gflops } }))
})

await Effect.runPromise(Effect.scoped(rate))
