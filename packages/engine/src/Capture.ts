/**
 * Runs a tensor program once on the capture backend and gives its graph. The backend that was active before is active again
 * afterwards, also when the program fails.
 */
import type { Tensor } from "@tensorflow/tfjs-core"
import * as tf from "@tensorflow/tfjs-core"
import { captureBackend, tensorOf, valueOf } from "./CaptureBackend.ts"
import { EngineError } from "./EngineError.ts"
import type { Graph } from "./Graph.ts"
import { makeGraph } from "./Graph.ts"
import type { Specs, Tensors } from "./Program.ts"
import { fail, input, record } from "./Recording.ts"

/**
 * The graph of `build`, which gets one tensor per spec and gives named outputs.
 *
 * Throws an EngineError: UnsupportedKernel, ShapeMismatch or InvalidProgram, with the kernel it is about.
 */
export function capture(
  name: string,
  specs: Specs,
  build: (inputs: Tensors) => Readonly<Record<string, Tensor>>
): Graph {
  const before = tf.getBackend() || "cpu"
  try {
    return record(name, () => {
      activate(captureBackend)
      let graph: Graph | undefined
      tf.tidy(() => {
        const inputs = Object.entries(specs).map(([key, spec]) => [key, tensorOf(input(key, spec.shape, spec.dtype))])
        const outputs = Object.entries(build(Object.fromEntries(inputs) as Tensors))
        if (outputs.length === 0) fail("the program gives no outputs", "InvalidProgram")
        graph = makeGraph(name, Object.fromEntries(outputs.map(([key, tensor]) => [key, valueOf(tensor)])))
      })
      return graph!
    })
  } catch (cause) {
    throw explain(name, cause)
  } finally {
    activate(before)
  }
}

/** tfjs switches to a backend that is already made before `setBackend` returns; its promise tells nothing more. */
export function activate(backend: string): void {
  void tf.setBackend(backend)
}

/** What tfjs itself complains about while a program is captured, as an EngineError. */
function explain(program: string, cause: unknown): EngineError {
  if (cause instanceof EngineError) return cause
  const message = cause instanceof Error ? cause.message : String(cause)
  const missing = /Kernel '(\w+)' not registered/.exec(message)?.[1]
  if (missing !== undefined) {
    return new EngineError({
      reason: "UnsupportedKernel",
      program,
      op: missing,
      detail: `capture doesn't know the kernel ${missing}; docs/kernels.md lists those it knows`
    })
  }
  const flat = /gradient function not found for (\w+)/.exec(message)?.[1]
  if (flat !== undefined) {
    return new EngineError({
      reason: "UnsupportedKernel",
      program,
      op: flat,
      detail: `the kernel ${flat} has no gradient here; docs/kernels.md says which have one`
    })
  }
  const op = tfjsOperation(cause)
  const shapes = /shape|broadcast|rank|dimension|size|axis/i.test(message)
  return new EngineError({
    reason: shapes ? "ShapeMismatch" : "InvalidProgram",
    program,
    ...(op === undefined ? {} : { op }),
    detail: message
  })
}

/** The tfjs operation that threw: its functions are named like `matMul_`. */
const tfjsOperation = (cause: unknown): string | undefined =>
  cause instanceof Error ? /at (?:Object\.)?([a-zA-Z0-9]+)_ \(.*tf-core/.exec(cause.stack ?? "")?.[1] : undefined
