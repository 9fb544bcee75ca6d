/** A metrics artifact: metrics.json `{ name: number }`, and examples.jsonl, one object a line, for a person to look at. */
import type { ArtifactWriter, Metrics } from "@bootlace/graph"
import { NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"

const utf8 = new TextEncoder()

/** Writes the artifact and gives the metrics back. Fails with R223 at a number that JSON can't hold. */
export const writeMetrics = Effect.fnUntraced(function* (
  node: string,
  writer: ArtifactWriter,
  metrics: Metrics,
  examples: ReadonlyArray<object> = []
) {
  const odd = Object.entries(metrics).find(([, value]) => !Number.isFinite(value))
  if (odd !== undefined) return yield* new NodeError({ code: "R223", node, detail: `${odd[0]} is ${odd[1]}` })
  yield* writer.write("metrics.json", utf8.encode(`${JSON.stringify(metrics, null, 2)}\n`))
  if (examples.length > 0) {
    yield* writer.write("examples.jsonl", utf8.encode(examples.map((each) => `${JSON.stringify(each)}\n`).join("")))
  }
  return metrics
})

/** What a fold over no rows fails with. */
export const noRows = (node: string): NodeError =>
  new NodeError({ code: "R222", node, detail: "no row came, so there is nothing to make of them" })
