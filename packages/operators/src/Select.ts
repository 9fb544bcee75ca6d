/**
 * Select: the columns wired to it, under the names given to them, as a row set of their own; every row stays.
 *
 *   any inputs  ->  rows: the same columns
 */
import { Operator } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { noConfig } from "./NoConfig.ts"

export const Select = Operator.route({
  name: "Select",
  version: 1,
  description: "Starts a row set of the columns wired to it, under new names.",
  config: noConfig,
  inputs: {},
  openInputs: true,
  ports: ["rows"],
  body: {
    open: () => Effect.succeed((batch) => Effect.succeed({ ports: new Uint8Array(batch.numRows), reasons: [] }))
  }
})
