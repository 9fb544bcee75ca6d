/**
 * Union: rows of several streams, one after the other in the order they are wired.
 *
 *   rows  streams  ->  rows: the columns that all of them have
 */
import { Operator } from "@bootlace/graph"
import { noConfig } from "./NoConfig.ts"

export const Union = Operator.union({
  name: "Union",
  version: 1,
  description: "Concatenates streams in the order they are wired; columns are matched by name.",
  config: noConfig,
  inputs: { rows: { stream: {}, many: true } }
})
