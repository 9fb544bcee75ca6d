/** The model that a node works with, opened: there, and of an architecture that its operator takes. */
import { NodeError } from "@bootlace/graph"
import type { Artifact } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { LoadedModels } from "./LoadedModels.ts"
import type { Architecture } from "./TensorOperator.ts"

interface ModelUser {
  readonly name: string
  /** Undefined: its program has no weights. */
  readonly model?: ReadonlyArray<Architecture>
}

/** Fails with R208 where no model is wired, or one of another architecture. */
export const openModel = Effect.fnUntraced(function* (
  node: string,
  artifact: Artifact | undefined,
  { name, model }: ModelUser
) {
  const models = yield* LoadedModels
  if (model === undefined) return yield* models.use(node, undefined)
  const refuse = (got: string) =>
    new NodeError({ code: "R208", node, detail: `${name} needs a ${model.join(" or ")} model, got ${got}` })
  if (artifact === undefined) return yield* refuse("none")
  const runnable = yield* models.use(node, artifact)
  const { architecture } = runnable.opened!.model
  return model.includes(architecture) ? runnable : yield* refuse(`a ${architecture} model`)
})
