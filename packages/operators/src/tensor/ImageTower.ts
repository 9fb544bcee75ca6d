/**
 * The image tower of a model, run once for all operators that see the same images.
 *
 *   pixels [B, 3, S, S]   ->   image_embeds [B, E], not normalised; image_tokens [B, N, D]
 *
 * Tokens are computed while an operator looks that wants them: without, CLIP's last block is about one token of N. The embeddings are the same.
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

/** Takes the pixels' memory over. */
export type ImageTower<E = EngineError> = (pixels: HostTensor) => Effect.Effect<HostTensors, E>

/** As profiles call it. */
export const towerProgram = { name: "image tower" } as const

const contentOf = ({ data, shape }: HostTensor): string =>
  `${shape.join()} ${sha256(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))}`

/** For each operator to open, with the tokens or without; it is looked through until the scope closes. */
export type OpenTower = (tokens: boolean) => Effect.Effect<ImageTower, never, Scope.Scope>

export const imageTower = (model: Model, run: LoadedModel["run"]): OpenTower => {
  const weights = Object.keys(model.shapes)
  const whole: Program = {
    ...towerProgram,
    weights,
    run: (weights, { image }) => ({ ...model.encodeImage(weights, image!) })
  }
  const embedding: Program = {
    ...towerProgram,
    weights,
    run: (weights, { image }) => ({ image_embeds: model.encodeImage(weights, image!).image_embeds })
  }
  const known = new Map<string, ReturnType<ImageTower>>()
  /** Operators that look, and those of them that want tokens. */
  const users = { all: 0, tokens: 0 }
  const remembered = Effect.fnUntraced(function* (program: Program, image: HostTensor) {
    const content = `${program === whole} ${contentOf(image)}`
    const found = known.get(content)
    if (found !== undefined) return yield* found
    const outputs = yield* Effect.cached(run(program, { image }, { transfer: true }))
    known.set(content, outputs)
    for (const oldest of known.keys()) {
      if (known.size <= kept) break
      known.delete(oldest)
    }
    return yield* outputs
  })
  const tower: ImageTower = (image) => {
    const program = users.tokens > 0 ? whole : embedding
    return users.all > 1 ? remembered(program, image) : run(program, { image }, { transfer: true })
  }
  const count = (tokens: boolean, step: 1 | -1) =>
    Effect.sync(() => {
      users.all += step
      if (tokens) users.tokens += step
      if (users.all < 2) known.clear()
    })
  return (tokens) => Effect.acquireRelease(Effect.as(count(tokens, 1), tower), () => count(tokens, -1))
}
