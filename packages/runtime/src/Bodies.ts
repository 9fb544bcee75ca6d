/** Bodies: the operators of a pass, opened when a shard first needs them, and held to their promises at every call. */
import type { Batch, ExpandBody, MapBody, NodeError, PlanNode, RouteBody } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { brokenPromise, callOperator } from "./Guard.ts"
import type { Where } from "./Guard.ts"
import type { Rows } from "./Inbox.ts"
import { openContext } from "./Session.ts"
import type { Session } from "./Session.ts"
import { expanded, mapped, routed } from "./Step.ts"
import type { Made } from "./Step.ts"

/** A node's work on one group of rows. */
export type Run<R> = (where: Where, rows: Rows) => Effect.Effect<Made, NodeError, R>
export type Bodies<R> = (node: PlanNode) => Effect.Effect<Run<R>, NodeError, R>

/** Each body is opened once and closed with the scope. */
export const openBodies = <R>(session: Session) =>
  Effect.map(Effect.scope, (scope) => {
    const known = new Map<string, Effect.Effect<Run<R>, NodeError, R>>()
    return (node: PlanNode): ReturnType<Bodies<R>> => {
      const found = known.get(node.id)
      if (found !== undefined) return found
      const opened = Effect.runSync(
        Effect.cached(openBody<R>(session, node).pipe(Effect.provideService(Scope.Scope, scope)))
      )
      known.set(node.id, opened)
      return opened
    }
  })

/** A node's body with its promises checked. */
const openBody = <R>(session: Session, node: PlanNode): Effect.Effect<Run<R>, NodeError, R | Scope.Scope> => {
  const { call_timeout } = session.settings
  const context = openContext(session, node, session.artifacts)
  const here = { node: node.id }
  const calls = <Answer>(
    body: {
      readonly open: (
        context: any
      ) => Effect.Effect<(batch: Batch) => Effect.Effect<Answer, NodeError, R>, NodeError, R | Scope.Scope>
    },
    check: (
      node: PlanNode,
      where: Where,
      rows: Rows,
      answer: Answer,
      wanted: ReadonlyArray<string> | undefined
    ) => Effect.Effect<Made, NodeError>
  ): Effect.Effect<Run<R>, NodeError, R | Scope.Scope> =>
    Effect.map(
      callOperator(here, call_timeout, () => body.open(context)),
      (call) => (where, rows) =>
        callOperator(where, call_timeout, () => call(rows.batch), rows.batch.numRows).pipe(
          Effect.flatMap((answer) => check(node, where, rows, answer, context.wanted)),
          Effect.catchDefect((defect) => Effect.fail(brokenPromise(where, String(defect))))
        )
    )
  if (node.operator.kind === "map") return calls(node.operator.body as MapBody<unknown, R>, mapped)
  if (node.operator.kind === "route") return calls(node.operator.body as RouteBody<unknown, R>, routed)
  if (node.operator.kind === "expand") return calls(node.operator.body as ExpandBody<unknown, R>, expanded)
  return Effect.die(`${node.operator.kind} ${node.id} has no place in a chain`)
}
