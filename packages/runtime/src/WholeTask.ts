/** The task of a fold or train: one artifact over all shards, made once and found again by its key. */
import type { CommittedArtifact } from "@bootlace/data"
import type { NodeError, PlanNode } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { storing } from "./Guard.ts"
import type { Session } from "./Session.ts"

export const runWhole = <R>(
  session: Session,
  node: PlanNode,
  make: (key: string) => Effect.Effect<CommittedArtifact, NodeError, R>
): Effect.Effect<void, NodeError, R> => {
  const key = session.keys.wholeKey(node)
  const find = storing({ node: node.id })(session.store.open(key))
  const count = (artifact: CommittedArtifact, isFresh: boolean): Effect.Effect<void> => {
    session.artifacts.set(node.id, artifact)
    return session.recorder.artifact(node, artifact, isFresh)
  }
  return session.doTask({
    name: node.id,
    nodes: [node.id],
    work: Effect.gen(function* () {
      const found = yield* find
      yield* count(found ?? (yield* session.recorder.timed(node.id, make(key))), found === undefined)
      return [key]
    }),
    recall: Effect.gen(function* () {
      const found = yield* find
      if (found !== undefined) yield* count(found, false)
      return found !== undefined
    })
  })
}
