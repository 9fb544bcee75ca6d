/**
 * Spans: who spent which time on what, told as it happens, for `run --profile`. Nothing is measured unless somebody listens.
 *
 * A span is part of no artifact and of no key: a profiled run makes the same bytes.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** `node`: all of a node's work on a group of rows, or a whole training; the others are parts of it, or the time between. */
export type Stage = "node" | "prepare" | "compute" | "write" | "wait"

export interface Span {
  readonly node: string
  readonly stage: Stage
  /** What it was spent on: an operator, a program, an edge `from -> to`. */
  readonly what: string
  /** Nanoseconds of the monotonic clock. */
  readonly start: bigint
  readonly end: bigint
}

/** Who listens; undefined: nobody. */
export const Spans: Context.Reference<((span: Span) => void) | undefined> = Context.Reference("@bootlace/graph/Spans", {
  defaultValue: (): ((span: Span) => void) | undefined => undefined
})

/** Tells how long the work took, whether it succeeds or not. */
export const spanned = <A, E, R>(
  node: string,
  stage: Stage,
  what: string,
  work: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const tell = yield* Spans
    if (tell === undefined) return yield* work
    const start = yield* Clock.monotonicTimeNanos
    const ended = Effect.map(Clock.monotonicTimeNanos, (end) => tell({ node, stage, what, start, end }))
    return yield* Effect.ensuring(work, ended)
  })

/** For a consumer that takes one thing after the other: the time between two pieces of its work is waiting at the edge. */
export const waitsBetween = (node: string, edge: string) =>
  Effect.gen(function* () {
    const tell = yield* Spans
    if (tell === undefined) return <A, E, R>(work: Effect.Effect<A, E, R>) => work
    let idleSince = yield* Clock.monotonicTimeNanos
    return <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.gen(function* () {
        tell({ node, stage: "wait", what: edge, start: idleSince, end: yield* Clock.monotonicTimeNanos })
        const result = yield* work
        idleSince = yield* Clock.monotonicTimeNanos
        return result
      })
  })
