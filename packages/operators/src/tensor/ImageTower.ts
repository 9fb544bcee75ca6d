/**
 * The image tower of a model, run once for all operators that see the same images.
 *
 *   pixels [B, 3, S, S]   ->   image_embeds [B, E], not normalised; image_tokens [B, N, D]
 *
 * While more than one operator looks through it, the outputs of the last few micro-batches are kept by their pixels' content, so that who
 * comes second finds them. Alone, an operator costs no memory.
 */
import { sha256 } from "@bootlace/data"
import type { EngineError, HostTensor, HostTensors, LoadedModel, Program } from "@bootlace/engine"
import type { Model } from "@bootlace/models"
import * as Effect from "effect/Effect"
import type { Scope } from "effect"

/** Micro-batches: as many as can be between two operators of a chain. */
const kept = 4

export type ImageTower<E = EngineError> = (pixels: HostTensor) => Effect.Effect<HostTensors, E>

/** As profiles call it. */
export const towerProgram = { name: "image tower" } as const

const contentOf = ({ data, shape }: HostTensor): string =>
  `${shape.join()} ${sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}`

/** A model's tower, for each operator to open; it is looked through until the scope closes. */
export const imageTower = (model: Model, run: LoadedModel["run"]): Effect.Effect<ImageTower, never, Scope.Scope> => {
  const program: Program = {
    ...towerProgram,
    weights: Object.keys(model.shapes),
    run: (weights, { image }) => ({ ...model.encodeImage(weights, image!) })
  }
  const known = new Map<string, ReturnType<ImageTower>>()
  let users = 0
  const remembered = Effect.fnUntraced(function* (image: HostTensor) {
    const content = contentOf(image)
    const found = known.get(content)
    if (found !== undefined) return yield* found
    const outputs = yield* Effect.cached(run(program, { image }))
    known.set(content, outputs)
    for (const oldest of known.keys()) {
      if (known.size <= kept) break
      known.delete(oldest)
    }
    return yield* outputs
  })
  const tower: ImageTower = (image) => (users > 1 ? remembered(image) : run(program, { image }))
  const open = Effect.sync(() => {
    users++
    return tower
  })
  const close = Effect.sync(() => {
    users--
    if (users < 2) known.clear()
  })
  return Effect.acquireRelease(open, () => close)
}
