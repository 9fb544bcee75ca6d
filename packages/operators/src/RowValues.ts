/**
 * Values that an operator can't do without: a missing one is an error that names the row, because whatever decided for it
 * silently would decide wrongly.
 */
import { columnOf, floatsOf, rowIdHex, rowIdsOf, textsOf } from "@bootlace/data"
import { NodeError } from "@bootlace/graph"
import type { Batch } from "@bootlace/graph"
import * as Effect from "effect/Effect"

const missing = (node: string, batch: Batch, row: number, column: string, what: string): NodeError =>
  new NodeError({
    code: "R221",
    node,
    row,
    detail: `${column} of row ${rowIdHex(rowIdsOf(batch), row)} is ${what}`,
    hint: `reject such rows before they get here, or look at the node that makes ${column}`
  })

/** A score column. Throws a NodeError at the first row without a number. */
export const scoresIn = (node: string, batch: Batch, column: string): Float32Array => {
  const vector = columnOf(batch, column)
  const scores = floatsOf(vector)
  for (let row = 0; row < scores.length; row++) {
    if (!vector.isValid(row)) throw missing(node, batch, row, column, "missing")
    if (Number.isNaN(scores[row])) throw missing(node, batch, row, column, "not a number")
  }
  return scores
}

/** A text column. Throws a NodeError at the first row without one. */
export const textsIn = (node: string, batch: Batch, column: string): ReadonlyArray<string> =>
  textsOf(columnOf(batch, column)).map((text, row) => {
    if (text === null) throw missing(node, batch, row, column, "missing")
    return text
  })

/** A flag column. Throws a NodeError at the first row without one. */
export const flagsIn = (node: string, batch: Batch, column: string): ReadonlyArray<boolean> =>
  Array.from(columnOf(batch, column), (flag: unknown, row) => {
    if (typeof flag !== "boolean") throw missing(node, batch, row, column, "missing")
    return flag
  })

/** Runs code over a batch; what it throws becomes the node's failure. */
export const onRows = <A>(node: string, evaluate: () => A): Effect.Effect<A, NodeError> =>
  Effect.try({
    try: evaluate,
    catch: (cause) =>
      cause instanceof NodeError
        ? cause
        : new NodeError({ code: "R220", node, detail: cause instanceof Error ? cause.message : String(cause) })
  })
