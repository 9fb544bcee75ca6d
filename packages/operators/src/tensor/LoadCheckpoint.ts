/** A checkpoint folder as the model of a node. */
import { NodeError } from "@bootlace/graph"
import type { Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { checkpointContent, readCheckpointFolder } from "./CheckpointFolder.ts"

const failing =
  (node: string) =>
  (detail: string): NodeError =>
    new NodeError({ code: "R208", node, detail })

/** What names the folder in keys. Fails with R208 where files are missing. */
export const hashCheckpoint = (node: string, folder: string) =>
  Effect.mapError(checkpointContent(folder), ({ message }) => failing(node)(message))

/** Fails with R208 where the folder can't be used, or is a model of another architecture. */
export const loadCheckpoint = Effect.fnUntraced(function* (
  node: string,
  architecture: Operator.Architecture,
  folder: string
) {
  const fail = failing(node)
  const { model, weights, vocabulary } = yield* readCheckpointFolder(folder).pipe(
    Effect.mapError((error) => fail(error.message))
  )
  if (model.architecture !== architecture)
    return yield* fail(`architecture says ${architecture}, ${folder} holds a ${model.architecture} model`)
  if (vocabulary === undefined) return yield* fail(`${folder} has no tokenizer that can be kept with the model`)
  return { model, weights, vocabulary }
})
