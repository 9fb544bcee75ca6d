/**
 * An operator whose `open` is a file of its own, loaded when a first node is opened: a check needs only what the operator says of
 * itself, and starts sooner without the rest.
 */
import * as Effect from "effect/Effect"

/** `open: openLater(async () => (await import("./bodies/Filter.ts")).open)` */
export const openLater =
  <Context, A, E, R>(load: () => Promise<(context: Context) => Effect.Effect<A, E, R>>) =>
  (context: Context): Effect.Effect<A, E, R> =>
    Effect.flatMap(Effect.promise(load), (open) => open(context))
