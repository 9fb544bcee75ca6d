/** An operator that a process dies of, where HUNGRY says so: by keeping all it sees, or by waiting to be killed. */
import { columnOf, scoreColumn, textsOf } from "@bootlace/data"
import { Operator } from "@bootlace/graph"
import { Effect, Schema } from "effect"
import { writeFileSync } from "node:fs"

const kept: Array<unknown> = []

const die = Effect.suspend((): Effect.Effect<void> => {
  const how = process.env["HUNGRY"]
  if (how === "heap") for (;;) kept.push(Array.from({ length: 100_000 }, (_, i) => ({ i })))
  if (how === undefined) return Effect.void
  writeFileSync(how, String(process.pid))
  return Effect.never
})

const Hungry = Operator.map({
  name: "Hungry",
  version: 1,
  description: "Measures texts.",
  config: Schema.Struct({ batch_size: Schema.Int }),
  inputs: { text: "text", vocabulary: { artifact: "vocabulary" } },
  outputs: { length: "score" },
  body: {
    batchSize: ({ batch_size }) => batch_size,
    open: () =>
      Effect.succeed((batch) =>
        Effect.as(die, {
          columns: { length: scoreColumn(Float32Array.from(textsOf(columnOf(batch, "text")), (text) => text!.length)) },
          rejected: []
        })
      )
  }
})

export default { operators: [Hungry] }
