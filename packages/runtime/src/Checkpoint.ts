/**
 * Checkpoints: snapshots of a fold or train, committed as artifacts under keys of their own. Two are kept, so that a damaged
 * one costs the steps since the one before; all go once the result itself is committed.
 */
import { keyOf } from "@bootlace/data"
import type { ArtifactStoreShape, DataError } from "@bootlace/data"
import type { Files, NodeError } from "@bootlace/graph"
import * as Effect from "effect/Effect"
import { ensureSpace } from "./DiskSpace.ts"
import { callOperator, storing } from "./Guard.ts"
import type { Session } from "./Session.ts"

const kept = 2

/** The checkpoints in a store; `finished`: what they are of is there, too. */
export const listCheckpoints = Effect.fnUntraced(function* (store: ArtifactStoreShape) {
  const keys = new Set(yield* store.list)
  const found: Array<{ readonly key: string; readonly finished: boolean }> = []
  for (const key of keys) {
    const meta = (yield* store.peek(key))?.meta
    if (meta?.["type"] === "checkpoint") found.push({ key, finished: keys.has(String(meta["of"])) })
  }
  return found
})

/** Removes checkpoints whose result is in the store: their process was killed between committing it and clearing them. */
export const sweepCheckpoints = Effect.fnUntraced(function* (store: ArtifactStoreShape) {
  for (const { key, finished } of yield* listCheckpoints(store)) if (finished) yield* store.remove(key)
})

interface Restorable<R> {
  readonly restore: (files: Files) => Effect.Effect<void, NodeError, R>
}

export class Checkpoints {
  readonly #session: Session
  readonly #node: string
  readonly #key: string
  readonly #every: number

  /** Of the fold or train with this key; they exist at multiples of `every` only (batches or steps done). */
  constructor(session: Session, node: string, key: string, every: number) {
    this.#session = session
    this.#node = node
    this.#key = key
    this.#every = every
  }

  #keyAt(at: number): string {
    return keyOf({ checkpoint_of: this.#key, at })
  }

  #stored<A, R>(effect: Effect.Effect<A, DataError, R>): Effect.Effect<A, NodeError, R> {
    return storing({ node: this.#node })(effect)
  }

  #remove(at: number): Effect.Effect<void, NodeError> {
    return at > 0 ? this.#stored(this.#session.store.remove(this.#keyAt(at))) : Effect.void
  }

  save(at: number, files: Files): Effect.Effect<void, NodeError> {
    // Room for this one, and for the result after it.
    const bytes = 2 * Object.values(files).reduce((sum, file) => sum + file.length, 0)
    const commit = Effect.flatMap(this.#session.store.begin(this.#keyAt(at)), (draft) =>
      Effect.forEach(Object.entries(files), ([name, file]) => draft.write(name, file), { discard: true }).pipe(
        Effect.andThen(draft.commit({ type: "checkpoint", of: this.#key, at }))
      )
    )
    return ensureSpace(this.#session, this.#node, bytes).pipe(
      Effect.andThen(this.#stored(Effect.scoped(commit))),
      Effect.andThen(this.#remove(at - kept * this.#every))
    )
  }

  #load(at: number): Effect.Effect<Files | undefined, NodeError> {
    const { store } = this.#session
    const key = this.#keyAt(at)
    return this.#stored(
      Effect.gen({ self: this }, function* () {
        const artifact = (yield* store.peek(key)) && (yield* store.open(key))
        if (artifact === undefined) return undefined
        const { of, at: made } = artifact.meta as { readonly of?: unknown; readonly at?: unknown }
        if (of !== this.#key || made !== at) {
          yield* Effect.logWarning(
            `${this.#node}: checkpoint ${at} is not usable: it was made at ${String(made)} of ${String(of)}`
          )
          return undefined
        }
        const files: Record<string, Uint8Array> = {}
        for (const { name } of artifact.files) files[name] = yield* artifact.read(name)
        return files
      }).pipe(
        // Another process with the same task may be done with it and have removed it.
        Effect.catchIf(
          (error) => error.code === "Missing",
          () => Effect.succeed(undefined)
        )
      )
    )
  }

  /**
   * Opens a body and restores the newest checkpoint that is whole and fits, at most at `last`; `at` is 0 where there is none.
   * One that doesn't fit leaves the body in an unknown state: unless an older one fits, another is opened.
   */
  resume<R, RO, Body extends Restorable<R>>(
    open: Effect.Effect<Body, NodeError, RO>,
    last: (body: Body) => number
  ): Effect.Effect<{ readonly body: Body; readonly at: number }, NodeError, R | RO> {
    return Effect.gen({ self: this }, function* () {
      const body = yield* open
      let isUntouched = true
      for (let at = Math.floor(last(body) / this.#every) * this.#every; at > 0; at -= this.#every) {
        const files = yield* this.#load(at)
        if (files === undefined) continue
        const tried = yield* Effect.result(this.#restore(body, files))
        if (tried._tag === "Success") return { body, at }
        isUntouched = false
        yield* Effect.logWarning(`${this.#node}: checkpoint ${at} is not usable: ${tried.failure.message}`)
        yield* this.#remove(at)
      }
      return { body: isUntouched ? body : yield* open, at: 0 }
    })
  }

  #restore<R>(body: Restorable<R>, files: Files): Effect.Effect<void, NodeError, R> {
    return callOperator({ node: this.#node }, this.#session.settings.call_timeout, () => body.restore(files))
  }

  /** Once the result is committed. */
  clear(last: number): Effect.Effect<void, NodeError> {
    const newest = Math.floor(last / this.#every) * this.#every
    const places = Array.from({ length: kept + 1 }, (_, i) => newest - i * this.#every)
    return Effect.forEach(places, (at) => this.#remove(at), { discard: true })
  }
}
