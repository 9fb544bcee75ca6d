/** `bootlace check`: every mistake of a pipeline at once, or one line that there is none. */
import * as Effect from "effect/Effect"
import type { PipelineOptions } from "../Invocation.ts"
import { loadPipeline } from "../LoadPipeline.ts"
import { out } from "../Screen.ts"

export const check = Effect.fnUntraced(function* (options: PipelineOptions) {
  const { plan } = yield* loadPipeline(options)
  yield* out(`${options.file}: ${plan.name}, ${plan.nodes.length} nodes, no mistakes  plan ${plan.hash.slice(0, 12)}`)
})
