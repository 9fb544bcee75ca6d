/** The tfjs backends an eager executor can run on, and what it takes to have one. */
import { createRequire } from "node:module"
import * as tf from "@tensorflow/tfjs-core"
import * as Effect from "effect/Effect"
import { registerEngineGradients } from "../CaptureBackend.ts"
import { EngineError } from "../EngineError.ts"

/** `cpu` is JavaScript and always there; `tensorflow` is @tensorflow/tfjs-node-gpu with libtensorflow below it. */
export type EagerBackend = "cpu" | "tensorflow"

const package_ = "@tensorflow/tfjs-node-gpu"

/** Node 23 dropped two functions that the package's JavaScript calls. */
function restoreNodeUtil(): void {
  const util = createRequire(import.meta.url)("node:util") as Record<string, unknown>
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined
  util.isArray ??= Array.isArray
}

/** Loads the backend. Fails with Unavailable, saying what is missing. */
export const loadBackend = (backend: EagerBackend): Effect.Effect<void, EngineError> =>
  backend === "cpu" ? Effect.void : Effect.tryPromise({ try: loadTensorflow, catch: explain })

async function loadTensorflow(): Promise<void> {
  restoreNodeUtil()
  await import(package_)
  // Its umbrella package brought tfjs's own gradients along.
  registerEngineGradients()
  if (tf.findBackend("tensorflow") === null) throw new Error("the package loaded, but registered no backend")
}

function explain(cause: unknown): EngineError {
  const message = cause instanceof Error ? cause.message : String(cause)
  const detail = /Cannot find (package|module)/.test(message)
    ? `${package_} is not installed (it is an optional dependency)`
    : /addon module.*can not be found/s.test(message)
      ? `${package_} is installed, but its native binding is missing: ${/at path: (\S+?)\.?\s/.exec(message)?.[1] ?? "tfjs_binding.node"}`
      : `${package_} doesn't load: ${message}`
  return new EngineError({ reason: "Unavailable", program: "eager executor", detail })
}
