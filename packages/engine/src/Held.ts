/** Tensors held between runs (`HeldTensors`) on the host, for an executor that has no memory of its own. */
import * as Effect from "effect/Effect"
import { mapTensors, takeRows, writeBlocks, zeros } from "./HostTensors.ts"
import type { HeldTensors, HostTensors, LoadedModel } from "./Program.ts"

export const heldOnHost = (run: LoadedModel["run"]): HeldTensors => {
  let held: HostTensors = {}
  return {
    run: (program, inputs, { keep = [], write } = {}) =>
      Effect.map(run(program, { ...held, ...inputs }), (outputs) => {
        const rest = { ...outputs }
        for (const name of keep) delete rest[name]
        for (const [name, into] of Object.entries(write?.into ?? {})) {
          writeBlocks(held[into]!.data, outputs[name]!.data, write!.places)
          delete rest[name]
        }
        held = { ...held, ...Object.fromEntries(keep.map((name) => [name, outputs[name]!])) }
        return rest
      }),
    zeros: (specs) => Effect.sync(() => void (held = { ...held, ...zeros(specs) })),
    take: (rows) => Effect.sync(() => void (held = mapTensors(held, (tensor) => takeRows(tensor, rows))))
  }
}
