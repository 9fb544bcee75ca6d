/**
 * Test support: the executor of captured programs under test. ONNX Runtime on the processor, or under `npm run test:tensorflow` TensorFlow and under
 * `npm run test:webgpu` ONNX Runtime on a GPU, whose tests fail where the library or the adapter is missing.
 */
import type { Effect, Scope } from "effect"
import type { EngineError, Executor } from "../src/index.ts"
import { makeOnnxExecutor, makeTensorflowExecutor, makeWebgpuExecutor } from "../src/index.ts"

type Captured = Exclude<Executor["name"], "eager">

/** Only ONNX Runtime on the processor heeds `threads`. */
const executors: Readonly<Record<Captured, (threads: number) => Effect.Effect<Executor, EngineError, Scope.Scope>>> = {
  onnx: (threads) => makeOnnxExecutor({ threads }),
  tensorflow: () => makeTensorflowExecutor(),
  webgpu: () => makeWebgpuExecutor
}

export const capturedName = (process.env.BOOTLACE_TEST_ENGINE ?? "onnx") as Captured

export const captured = executors[capturedName]
