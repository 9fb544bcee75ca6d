/**
 * A threshold artifact: threshold.json, where a share of the highest scores ends.
 *
 *   { column, top, value, row_id }   kept: score > value, or score = value and id <= row_id; value null keeps nothing
 */
import { NodeError } from "@bootlace/graph"
import type { Artifact } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"

const Threshold = Schema.Struct({
  column: Schema.String,
  top: Schema.Finite,
  value: Schema.NullOr(Schema.Finite),
  /** Hex of the id of the last row kept. */
  row_id: Schema.NullOr(Schema.String)
})
export type Threshold = typeof Threshold.Type

const file = "threshold.json"

export const encodeThreshold = (threshold: Threshold) => ({
  name: file,
  bytes: new TextEncoder().encode(`${JSON.stringify(threshold, null, 2)}\n`)
})

export const readThreshold = Effect.fnUntraced(function* (node: string, artifact: Artifact) {
  const bytes = yield* artifact.read(file)
  return yield* Schema.decodeUnknownEffect(Schema.fromJsonString(Threshold))(new TextDecoder().decode(bytes)).pipe(
    Effect.mapError((cause) => new NodeError({ code: "R411", node, detail: `${file}: ${cause.message}` }))
  )
})
