/**
 * At work: which node is called, and on how many rows, told before each call. A process that dies of it, by a full heap or a
 * crash in native code, can't say so any more; whoever listened can.
 */
import * as Context from "effect/Context"

/** Nobody listens by default. */
export const AtWork = Context.Reference<(node: string, rows?: number) => void>("@bootlace/runtime/AtWork", {
  defaultValue: () => () => undefined
})
