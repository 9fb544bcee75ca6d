/**
 * Guard: whatever goes wrong inside an operator or the store comes out as a NodeError that names the node.
 *
 *   R101  a source threw                          R421  a column that is never stored is read by another stage
 *   R230  an operator threw                       R422  the store can't be read or written
 *   R231  an operator broke its contract          R423  the disk is full
 *   R232  an operator gave no answer in time      R424  another run has the plan
 *   R233  a bad row, and on_bad_row says stop
 */
import type { DataError } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { AtWork } from "./AtWork.ts"

export interface Where {
  readonly node: string
  readonly shard?: string
}

const describe = (defect: unknown): string =>
  defect instanceof Error ? `${defect.name}: ${defect.message}` : String(defect)

const crashed =
  (where: Where, code: string, what: string) =>
  (defect: unknown): NodeError =>
    new NodeError({
      ...where,
      code,
      detail: `${what} threw ${describe(defect)}`,
      hint: "this is a defect of the operator, not of your data"
    })

/** An error that an operator made knows its node; the shard is filled in here. */
const placed =
  (where: Where) =>
  (error: NodeError): NodeError =>
    error.shard !== undefined || where.shard === undefined
      ? error
      : new NodeError({
          code: error.code,
          node: error.node,
          shard: where.shard,
          detail: error.detail,
          ...(error.row === undefined ? {} : { row: error.row }),
          ...(error.hint === undefined ? {} : { hint: error.hint })
        })

const late = (where: Where, timeout: Duration.Input): NodeError =>
  new NodeError({
    ...where,
    code: "R232",
    detail: `gave no answer within ${Duration.format(Duration.fromInputUnsafe(timeout))}`,
    hint: "raise call_timeout if its work takes that long"
  })

/** Failures and defects of a call as the node's errors. */
const guarded = <A, R>(where: Where, answer: Effect.Effect<A, NodeError, R>): Effect.Effect<A, NodeError, R> =>
  answer.pipe(
    Effect.mapError(placed(where)),
    Effect.catchDefect((defect) => Effect.fail(crashed(where, "R230", "the operator")(defect)))
  )

/**
 * One call of an operator, on `rows` rows. `call` runs inside, so that a synchronous throw is caught as well. Most calls have
 * answered when they return: only the others are worth a timer.
 */
export const callOperator = <A, R>(
  where: Where,
  timeout: Duration.Input,
  call: () => Effect.Effect<A, NodeError, R>,
  rows?: number
): Effect.Effect<A, NodeError, R> =>
  Effect.contextWith((context: Context.Context<R>) => {
    Context.get(context, AtWork)(where.node, rows)
    const fiber = Effect.runForkWith(context)(Effect.suspend(call))
    const exit = fiber.pollUnsafe()
    if (exit !== undefined) return Exit.isSuccess(exit) ? exit : guarded(where, exit)
    const joined = Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
    const orElse = () => Effect.fail(late(where, timeout))
    return guarded(where, Effect.timeoutOrElse(joined, { duration: timeout, orElse }))
  })

/** The batches of a source. */
export const readSource = <A, R>(
  where: Where,
  timeout: Duration.Input,
  read: () => Stream.Stream<A, NodeError, R>
): Stream.Stream<A, NodeError, R> =>
  Stream.unwrap(
    Effect.map(AtWork, (tell) => {
      tell(where.node)
      return read()
    })
  ).pipe(
    Stream.timeoutOrElse({ duration: timeout, orElse: () => Stream.fail(late(where, timeout)) }),
    Stream.mapError(placed(where)),
    Stream.catchDefect((defect) => Stream.fail(crashed(where, "R101", "the source")(defect)))
  )

/** An operator's promise that it didn't keep. */
export const brokenPromise = (where: Where, detail: string): NodeError =>
  new NodeError({ ...where, code: "R231", detail, hint: "this is a defect of the operator, not of your data" })

/** Failures of the store on behalf of a node. */
export const storing =
  (where: Where) =>
  <A, R>(effect: Effect.Effect<A, DataError, R>): Effect.Effect<A, NodeError, R> =>
    Effect.mapError(effect, (error) =>
      error.code === "DiskFull"
        ? new NodeError({
            ...where,
            code: "R423",
            detail: error.message,
            hint: "free some space and run again: finished work is kept"
          })
        : new NodeError({ ...where, code: "R422", detail: error.message })
    )
