/** The engine as a service: operators ask for it, the run decides which executor it is. */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { EagerOptions } from "./eager/EagerExecutor.ts"
import { makeEagerExecutor } from "./eager/EagerExecutor.ts"
import type { EngineError } from "./EngineError.ts"
import type { OnnxOptions } from "./onnx/OnnxExecutor.ts"
import { makeOnnxExecutor, makeWebgpuExecutor } from "./onnx/OnnxExecutor.ts"
import type { Executor } from "./Program.ts"
import type { TensorflowOptions } from "./tensorflow/TensorflowExecutor.ts"
import { makeTensorflowExecutor } from "./tensorflow/TensorflowExecutor.ts"

export class Engine extends Context.Service<Engine, Executor>()("@bootlace/engine/Engine") {
  /** ONNX Runtime in a worker thread; fails with Unavailable where it has no binary. */
  static readonly onnx = (options: OnnxOptions): Layer.Layer<Engine, EngineError> =>
    Layer.effect(Engine, makeOnnxExecutor(options))

  /** TensorFlow in a worker thread; fails with Unavailable where its library isn't installed. */
  static readonly tensorflow = (options: TensorflowOptions = {}): Layer.Layer<Engine, EngineError> =>
    Layer.effect(Engine, makeTensorflowExecutor(options))

  /** ONNX Runtime on a GPU through WebGPU, fp32; fails with Unavailable where there is no adapter. */
  static readonly webgpu: Layer.Layer<Engine, EngineError> = Layer.effect(Engine, makeWebgpuExecutor)

  /** A tfjs backend, operation by operation. */
  static readonly eager = (options: EagerOptions = {}): Layer.Layer<Engine, EngineError> =>
    Layer.effect(Engine, makeEagerExecutor(options))
}
