/**
 * Test support: the executor of captured programs under test. ONNX Runtime, or under `npm run test:tensorflow` TensorFlow, whose tests fail
 * where its library isn't installed.
 */
import type { Effect, Scope } from "effect"
import type { EngineError, Executor } from "../src/index.ts"
import { makeOnnxExecutor, makeTensorflowExecutor } from "../src/index.ts"

export const capturedName = process.env.BOOTLACE_TEST_ENGINE === "tensorflow" ? "tensorflow" : "onnx"

/** TensorFlow takes all cores, whatever `threads` says. */
export const captured = (threads: number): Effect.Effect<Executor, EngineError, Scope.Scope> =>
  capturedName === "onnx" ? makeOnnxExecutor({ threads }) : makeTensorflowExecutor()
