/** Runs plain tfjs code on a backend and reads the results, leaving the process's active backend as it was. */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { activate } from "../Capture.ts"
import { EngineError } from "../EngineError.ts"
import { arrayClass, mapTensors } from "../HostTensors.ts"
import type { DType, HostTensor, HostTensors, Tensors } from "../Program.ts"

export const toTensors = (tensors: HostTensors): Tensors =>
  mapTensors(tensors, ({ data, shape, dtype }) => tf.tensor(data, [...shape], dtype))

/** What `build` gives, on the host. All tensors it made are gone afterwards. */
export const evaluate = (
  program: string,
  backend: string,
  build: () => Tensors
): Effect.Effect<HostTensors, EngineError> =>
  Effect.tryPromise({
    try: async () => {
      const tensors = onBackend(backend, () => tf.tidy(build))
      const read = Object.entries(tensors).map(async ([name, tensor]) => [name, await toHost(tensor)] as const)
      return Object.fromEntries(await Promise.all(read))
    },
    catch: (cause) =>
      cause instanceof EngineError
        ? cause
        : new EngineError({
            reason: "Execution",
            program,
            detail: cause instanceof Error ? cause.message : String(cause)
          })
  })

function onBackend<A>(backend: string, build: () => A): A {
  const before = tf.getBackend() || "cpu"
  activate(backend)
  try {
    return build()
  } finally {
    activate(before)
  }
}

async function toHost(tensor: Tensor): Promise<HostTensor> {
  const dtype = tensor.dtype as DType
  const data = arrayClass[dtype].from((await tensor.data()) as ArrayLike<number>)
  tensor.dispose()
  return { dtype, shape: tensor.shape, data }
}
